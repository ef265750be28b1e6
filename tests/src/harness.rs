//! The backends, and a new store for each case.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, OnceLock};
use std::time::Duration;

use streamkeep::{EventStore, OpenOptions, Result};
use tempfile::TempDir;
use uuid::Uuid;

use crate::servers::{self, PgBouncer, Server, StartError};

/// A short poll interval, so that a case waits only briefly for an event without a notification.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The default timeout of the store. A slow server gets a multiple of it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A backend, named as in its URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// `memory:`
    Memory,
    /// `sqlite:`
    Sqlite,
    /// `postgres:`
    Postgres,
    /// `mongodb:`
    Mongodb,
}

/// Every backend, even if this build or this machine does not have it.
pub const BACKENDS: [Backend; 4] = [Backend::Memory, Backend::Sqlite, Backend::Postgres, Backend::Mongodb];

impl Backend {
    /// The name in test names and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mongodb => "mongodb",
        }
    }

    /// The variable with the URL of a server to test on. Without it, the suite starts a server.
    #[must_use]
    pub const fn url_variable(self) -> Option<&'static str> {
        match self {
            Self::Memory | Self::Sqlite => None,
            Self::Postgres => Some("STREAMKEEP_TEST_POSTGRES_URL"),
            Self::Mongodb => Some("STREAMKEEP_TEST_MONGODB_URL"),
        }
    }

    /// The factor for every time limit of this backend. SecantusDB is a Python program that takes seconds for an append
    /// of thousands of events.
    #[must_use]
    pub const fn patience(self) -> u32 {
        match self {
            Self::Memory | Self::Sqlite | Self::Postgres => 1,
            Self::Mongodb => 4,
        }
    }

    /// Why this backend cannot be tested here; `None` if it can.
    ///
    /// # Panics
    /// If the server does not start.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Memory => None,
            Self::Sqlite => (!cfg!(feature = "sqlite")).then(|| "this build has no sqlite".to_owned()),
            Self::Postgres if !cfg!(feature = "postgres") => Some("this build has no postgres".to_owned()),
            Self::Mongodb if !cfg!(feature = "mongodb") => Some("this build has no mongodb".to_owned()),
            Self::Postgres => self.server_url().map(through_pooler).err(),
            Self::Mongodb => self.server_url().err(),
        }
    }

    /// Makes a fixture: a new memory store, file or namespace.
    ///
    /// # Panics
    /// If that is not possible.
    #[must_use]
    pub fn room(self) -> Room {
        let name = format!("s_{}", &Uuid::new_v4().simple().to_string()[..12]);
        let folder = TempDir::with_prefix("streamkeep-test-").expect("the temporary folder is created");
        let base = match self {
            Self::Memory => format!("memory:{name}"),
            Self::Sqlite => format!("sqlite:{}", folder.path().join("events.db").display()),
            Self::Postgres => through_pooler(self.server_url().expect("missing() found a server")),
            // The server knows the connections of a case by this name.
            Self::Mongodb => with_parameter(&self.server_url().expect("missing() found a server"), "appName", &name),
        };
        Room { backend: self, base, namespace: name, folder }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The fixture of a case: a store on one backend. Dropping it removes its files.
#[derive(Debug)]
pub struct Room {
    backend: Backend,
    base: String,
    namespace: String,
    folder: TempDir,
}

impl Room {
    /// The backend.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        self.backend
    }

    /// The URL without options.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The URL of the server itself, even behind a pooler.
    ///
    /// # Panics
    /// When there is no server.
    #[must_use]
    pub fn server(&self) -> String {
        if self.backend == Backend::Postgres {
            self.backend.server_url().expect("the server runs")
        } else {
            self.base.clone()
        }
    }

    /// Whether there is a pooler before the server.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.backend == Backend::Postgres && POOLER.get().is_some_and(Option::is_some)
    }

    /// The case's own namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The case's own folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How to open the store. All handles that are opened with these options share one log.
    #[must_use]
    pub fn options(&self) -> OpenOptions {
        self.options_with("")
    }

    /// The same with parameters after the URL, such as `?create=false`.
    #[must_use]
    pub fn options_with(&self, parameters: &str) -> OpenOptions {
        OpenOptions::new(self.url(parameters))
            .namespace(&self.namespace)
            .poll_interval(POLL_INTERVAL)
            .timeout(TIMEOUT * self.backend.patience())
    }

    /// The URL with parameters, such as `?create=false`. If the URL has parameters already, the `?` becomes `&`.
    #[must_use]
    pub fn url(&self, parameters: &str) -> String {
        let more = if self.base.contains('?') { parameters.replacen('?', "&", 1) } else { parameters.to_owned() };
        format!("{}{more}", self.base)
    }

    /// Opens a handle.
    ///
    /// # Errors
    /// As [`EventStore::open`].
    pub async fn open(&self) -> Result<EventStore> {
        self.options().open().await
    }

    /// Opens a handle.
    ///
    /// # Panics
    /// If it does not open.
    pub async fn store(&self) -> EventStore {
        match self.open().await {
            Ok(store) => store,
            Err(error) => {
                if error.code() == "unavailable" {
                    self.backend.end_run_without_server().await;
                }
                panic!("the store does not open: {error:?}");
            }
        }
    }
}

fn with_parameter(url: &str, name: &str, value: &str) -> String {
    format!("{url}{}{name}={value}", if url.contains('?') { '&' } else { '?' })
}

/// The variable that puts a PgBouncer in this mode before the suite's Postgres server.
const POOLER_VARIABLE: &str = "STREAMKEEP_TEST_POOLER";
static POOLER: OnceLock<Option<Mutex<Option<PgBouncer>>>> = OnceLock::new();

fn through_pooler(server: String) -> String {
    let pooler = POOLER.get_or_init(|| {
        let mode = std::env::var(POOLER_VARIABLE).ok()?;
        Some(Mutex::new(Some(PgBouncer::before(&server, &mode, "").expect("the pooler starts"))))
    });
    let Some(pooler) = pooler else { return server };
    let pooler = pooler.lock().expect("no case panics while it holds the lock");
    with_parameter(&pooler.as_ref().expect("the pooler runs").url(), "pooler", "transaction")
}

/// The servers of this run.
static POSTGRES: OnceLock<std::result::Result<ServerOfRun, String>> = OnceLock::new();
static MONGODB: OnceLock<std::result::Result<ServerOfRun, String>> = OnceLock::new();

#[derive(Debug)]
struct ServerOfRun {
    url: String,
    /// The server, if this run started it.
    ours: Mutex<Option<Server>>,
}

impl Backend {
    fn server_of_run(self) -> Option<&'static OnceLock<std::result::Result<ServerOfRun, String>>> {
        match self {
            Self::Memory | Self::Sqlite => None,
            Self::Postgres => Some(&POSTGRES),
            Self::Mongodb => Some(&MONGODB),
        }
    }

    /// The URL of the server of this run. The first call starts the server.
    ///
    /// # Errors
    /// Why there is no server.
    pub fn server_url(self) -> std::result::Result<String, String> {
        let server = self.server_of_run().ok_or("the backend has no server")?.get_or_init(|| {
            if let Some(url) = self.url_variable().and_then(|variable| std::env::var(variable).ok()) {
                return Ok(ServerOfRun { url, ours: Mutex::default() });
            }
            match Server::start(self) {
                Ok(server) => Ok(ServerOfRun { url: server.url(), ours: Mutex::new(Some(server)) }),
                Err(StartError::NotHere(reason)) => Err(reason),
                Err(StartError::Failed(reason)) => panic!("{reason}"),
            }
        });
        server.as_ref().map(|server| server.url.clone()).map_err(Clone::clone)
    }
}

impl Backend {
    /// Ends the run if the server that its cases share is gone, because each case would wait for its deadline.
    async fn end_run_without_server(self) {
        let Ok(url) = self.server_url() else { return };
        if !servers::answers(self, &url).await {
            eprintln!("the run ends because its {self} server does not answer");
            std::process::exit(1);
        }
    }
}

/// Stops the servers that this run started. Statics are never dropped, so the suite calls this at its end.
pub fn stop_servers() {
    if let Some(Some(pooler)) = POOLER.get() {
        drop(pooler.lock().ok().and_then(|mut pooler| pooler.take()));
    }
    for backend in BACKENDS {
        if let Some(Ok(server)) = backend.server_of_run().and_then(OnceLock::get) {
            drop(server.ours.lock().ok().and_then(|mut server| server.take()));
        }
    }
}

/// The workspace's `tests` folder.
pub static TESTS: LazyLock<PathBuf> = LazyLock::new(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
