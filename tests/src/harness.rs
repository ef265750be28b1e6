//! A row per backend, and a fresh place in it for every case.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, OnceLock};
use std::time::Duration;

use streamkeep::{EventStore, OpenOptions, Result};
use tempfile::TempDir;
use uuid::Uuid;

use crate::servers::{Server, StartError};

/// Subscribers of other processes' writes look this often, so that cases do not wait long for a notification that never comes.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The store's own default, where the server is not slower than what that is meant for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A backend, as its URLs call it.
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

/// Every backend, whether or not this build and this machine have it.
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

    /// Names the server to test on, where it has one; unless set, the suite starts one of its own.
    #[must_use]
    pub const fn url_variable(self) -> Option<&'static str> {
        match self {
            Self::Memory | Self::Sqlite => None,
            Self::Postgres => Some("STREAMKEEP_TEST_POSTGRES_URL"),
            Self::Mongodb => Some("STREAMKEEP_TEST_MONGODB_URL"),
        }
    }

    /// How many times longer than elsewhere everything may take: SecantusDB is a Python program, and one of its tests' appends of thousands of events takes seconds.
    #[must_use]
    pub const fn patience(self) -> u32 {
        match self {
            Self::Memory | Self::Sqlite | Self::Postgres => 1,
            Self::Mongodb => 4,
        }
    }

    /// Why nothing can be tested on it here.
    ///
    /// # Panics
    /// When there is a server that should start and does not.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Memory => None,
            Self::Sqlite => (!cfg!(feature = "sqlite")).then(|| "this build has no sqlite".to_owned()),
            Self::Postgres if !cfg!(feature = "postgres") => Some("this build has no postgres".to_owned()),
            Self::Mongodb if !cfg!(feature = "mongodb") => Some("this build has no mongodb".to_owned()),
            Self::Postgres | Self::Mongodb => self.server_url().err(),
        }
    }

    /// A fresh place: a store or file of its own, or a namespace of its own.
    ///
    /// # Panics
    /// When there is none to be had.
    #[must_use]
    pub fn room(self) -> Room {
        let name = format!("s_{}", &Uuid::new_v4().simple().to_string()[..12]);
        let folder = TempDir::with_prefix("streamkeep-test-").expect("a temporary folder");
        let base = match self {
            Self::Memory => format!("memory:{name}"),
            Self::Sqlite => format!("sqlite:{}", folder.path().join("events.db").display()),
            Self::Postgres => self.server_url().expect("a server, as missing() said"),
            // By its name a case's own connections are known to the server.
            Self::Mongodb => with_parameter(&self.server_url().expect("a server, as missing() said"), "appName", &name),
        };
        Room { backend: self, base, namespace: name, folder }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A case's own place in a backend; files are removed with it.
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

    /// How to open the place; every handle so opened is on the same log.
    #[must_use]
    pub fn options(&self) -> OpenOptions {
        self.options_with("")
    }

    /// The same with more text behind the URL, such as `?create=false`.
    #[must_use]
    pub fn options_with(&self, parameters: &str) -> OpenOptions {
        OpenOptions::new(self.url(parameters)).namespace(&self.namespace).poll_interval(POLL_INTERVAL).timeout(TIMEOUT * self.backend.patience())
    }

    /// The URL with more text behind it, such as `?create=false`; an `?` that is there already makes it `&`.
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

    /// Opens a handle that has to open.
    ///
    /// # Panics
    /// When it does not.
    pub async fn store(&self) -> EventStore {
        self.open().await.expect("the store opens")
    }
}

fn with_parameter(url: &str, name: &str, value: &str) -> String {
    format!("{url}{}{name}={value}", if url.contains('?') { '&' } else { '?' })
}

/// The servers of this run.
static POSTGRES: OnceLock<std::result::Result<ServerOfRun, String>> = OnceLock::new();
static MONGODB: OnceLock<std::result::Result<ServerOfRun, String>> = OnceLock::new();

#[derive(Debug)]
struct ServerOfRun {
    url: String,
    /// Unless it was given.
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

    /// The URL of the server of this run, started by the first who asks.
    ///
    /// # Errors
    /// Why there is none.
    pub fn server_url(self) -> std::result::Result<String, String> {
        let server = self.server_of_run().ok_or("it has no server")?.get_or_init(|| {
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

/// Ends the servers this run started. Statics are never dropped, so the suite says when.
pub fn stop_servers() {
    for backend in BACKENDS {
        if let Some(Ok(server)) = backend.server_of_run().and_then(OnceLock::get) {
            drop(server.ours.lock().ok().and_then(|mut server| server.take()));
        }
    }
}

/// The workspace's `tests` folder.
pub static TESTS: LazyLock<PathBuf> = LazyLock::new(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
