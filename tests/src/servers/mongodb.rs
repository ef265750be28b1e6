//! A temporary MongoDB server: `mongod` from the path as a replica set of one, or SecantusDB.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use tempfile::TempDir;

use super::account::run;
use super::programs::on_path;
use super::{START_LIMIT, StartError, on_a_free_port, secantusdb};

/// The database of the tests.
const DATABASE: &str = "streamkeep_test";

/// Which server it is.
#[derive(Clone, Debug)]
enum Kind {
    Mongod(PathBuf),
    SecantusDb(PathBuf),
}

/// How the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// With data on the disk, as a replica set of one.
    Durable,
    /// With data on the disk, as a standalone server without transactions.
    Standalone,
    /// With data in memory only.
    InMemory,
}

/// A running server with its data in a temporary folder. Dropping it stops the server and removes the data.
#[derive(Debug)]
pub struct MongoServer {
    folder: TempDir,
    kind: Kind,
    mode: Mode,
    port: u16,
    process: Option<Child>,
}

impl MongoServer {
    /// Starts a durable server, as a replica set of one.
    ///
    /// # Errors
    /// `NotHere` when the machine has neither `mongod` nor Python; `Failed` with the server's output.
    pub fn start() -> Result<Self, StartError> {
        Self::start_as(Mode::Durable)
    }

    /// Starts a standalone server, without transactions.
    ///
    /// # Errors
    /// As [`MongoServer::start`].
    pub fn start_standalone() -> Result<Self, StartError> {
        Self::start_as(Mode::Standalone)
    }

    /// Starts a server that keeps everything in memory and reports it. It is always SecantusDB, because the common
    /// `mongod` cannot do that.
    ///
    /// # Errors
    /// As [`MongoServer::start`].
    pub fn start_in_memory() -> Result<Self, StartError> {
        Self::start_as(Mode::InMemory)
    }

    fn start_as(mode: Mode) -> Result<Self, StartError> {
        let kind = match on_path("mongod") {
            Some(program) if mode != Mode::InMemory => Kind::Mongod(program),
            _ => Kind::SecantusDb(secantusdb::program()?),
        };
        let folder = tempfile::Builder::new().prefix("streamkeep-mongodb-").tempdir();
        let folder = folder.map_err(|error| StartError::Failed(format!("no temporary folder: {error}")))?;
        let mut server = Self { folder, kind, mode, port: 0, process: None };
        on_a_free_port(|port| server.launch_on(port)).map_err(StartError::Failed)?;
        Ok(server)
    }

    /// The server's URL, with a database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}/{DATABASE}", self.port)
    }

    /// Kills the server, as a crash does.
    ///
    /// # Errors
    /// The error of the system.
    pub fn stop_hard(&mut self) -> Result<(), String> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill().and_then(|()| process.wait()).map(drop).map_err(|error| error.to_string())
    }

    /// Shuts the server down cleanly.
    ///
    /// # Errors
    /// The error of the system.
    pub fn stop_fast(&mut self) -> Result<(), String> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        run(Command::new("kill").args(["-TERM", &process.id().to_string()]))?;
        process.wait().map(drop).map_err(|error| error.to_string())
    }

    /// Starts the server again on the same port and data.
    ///
    /// # Errors
    /// The server's output.
    pub fn start_again(&mut self) -> Result<(), String> {
        self.launch()
    }

    fn launch_on(&mut self, port: u16) -> Result<(), String> {
        self.port = port;
        self.launch()
    }

    fn launch(&mut self) -> Result<(), String> {
        let plain = |error: std::io::Error| error.to_string();
        let data = self.folder.path().join("data");
        fs::create_dir_all(&data).map_err(plain)?;
        let log = fs::File::create(self.folder.path().join("log")).map_err(plain)?;
        let errors = log.try_clone().map_err(plain)?;
        let mut command = self.command(&data)?;
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(log).stderr(errors);
        self.process = Some(command.spawn().map_err(plain)?);
        self.await_ready()
    }

    fn command(&self, data: &Path) -> Result<Command, String> {
        let program = match &self.kind {
            Kind::Mongod(program) | Kind::SecantusDb(program) => program,
        };
        // It is killed with the tests where the system supports that; its data is temporary.
        let mut command = if on_path("setpriv").is_some() {
            let mut command = Command::new("setpriv");
            command.arg("--pdeathsig=KILL").arg("--").arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(["--port", &self.port.to_string()]);
        match &self.kind {
            Kind::Mongod(_) => {
                command
                    .args([
                        "--bind_ip",
                        "127.0.0.1",
                        "--wiredTigerCacheSizeGB",
                        "0.5",
                        "--setParameter",
                        "enableTestCommands=1",
                        "--dbpath",
                    ])
                    .arg(data);
                if self.mode == Mode::Durable {
                    command.args(["--replSet", "rs0"]);
                }
            }
            Kind::SecantusDb(_) => {
                // A configuration file of this account must not affect the tests.
                let config = self.folder.path().join("secantusd.toml");
                fs::write(&config, "").map_err(|error| error.to_string())?;
                command
                    .args([
                        "--host",
                        "127.0.0.1",
                        "--sync-on-commit",
                        "--enable-test-commands",
                        "--log-level",
                        "ERROR",
                        // Above 100,000 entries it removes the oldest 1,000 one by one, with an fsync for each, and no
                        // other write gets through: 4 s on a fast disk, a minute on a busy one.
                        "--oplog-max-entries",
                        "100000000",
                        // Its idle sessions keep old snapshots, so what is written stays in the cache. With 1G, the
                        // default, the cache was full after some minutes. Each write then looked for pages to evict,
                        // under the lock of all writes.
                        "--cache-size",
                        "4G",
                        "--config",
                    ])
                    .arg(config);
                command.arg("--storage-path").arg(if self.mode == Mode::InMemory {
                    Path::new(":memory:")
                } else {
                    data
                });
                if self.mode == Mode::Standalone {
                    command.arg("--standalone");
                }
            }
        }
        Ok(command)
    }

    /// Waits until the server accepts writes, and initiates the replica set of a `mongod`.
    fn await_ready(&mut self) -> Result<(), String> {
        let (url, deadline) =
            (format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port), Instant::now() + START_LIMIT);
        let initiate = matches!(self.kind, Kind::Mongod(_)) && self.mode == Mode::Durable;
        loop {
            let ready = ready(url.clone(), initiate, self.port);
            let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            if ready && ended.is_none() {
                return Ok(());
            }
            if ended.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                let _ = self.stop_hard();
                return Err(format!("the server did not start: {}", said.trim()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for MongoServer {
    fn drop(&mut self) {
        // Its data is temporary, so it needs no clean shutdown.
        let _ = self.stop_hard();
    }
}

/// Runs in a new thread, because the caller may be inside a runtime.
fn ready(url: String, initiate: bool, port: u16) -> bool {
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(ask(url, initiate, port)).ok()
    });
    asking.join().ok().flatten().unwrap_or(false)
}

/// Whether the server at the URL answers now.
pub(super) async fn answers(url: &str) -> bool {
    ask(url.to_owned(), false, 0).await.is_ok()
}

async fn ask(url: String, initiate: bool, port: u16) -> mongodb::error::Result<bool> {
    let mut options = ClientOptions::parse(url).await?;
    options.server_selection_timeout = Some(Duration::from_secs(1));
    let client = Client::with_options(options)?;
    let admin = client.database("admin");
    let hello: Document = admin.run_command(doc! { "hello": 1 }).await?;
    if initiate && hello.get_str("setName").is_err() {
        let members = vec![doc! { "_id": 0, "host": format!("127.0.0.1:{port}") }];
        admin.run_command(doc! { "replSetInitiate": { "_id": "rs0", "members": members } }).await?;
    }
    client.shutdown().immediate(true).await;
    Ok(hello.get_bool("isWritablePrimary").unwrap_or(false))
}
