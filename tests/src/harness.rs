//! A row per backend, and a fresh place in it for every case.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, OnceLock};
use std::time::Duration;

use streamkeep::{EventStore, OpenOptions, Result};
use tempfile::TempDir;
use uuid::Uuid;

use crate::servers::{PostgresServer, StartError};

/// Names the Postgres to test on; unless set, the suite starts one of its own.
pub const POSTGRES_URL: &str = "STREAMKEEP_TEST_POSTGRES_URL";

/// Subscribers of other processes' writes look this often, so that cases do not wait long for a notification that never comes.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A backend, as its URLs call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// `memory:`
    Memory,
    /// `sqlite:`
    Sqlite,
    /// `postgres:`
    Postgres,
}

/// Every backend, whether or not this build and this machine have it.
pub const BACKENDS: [Backend; 3] = [Backend::Memory, Backend::Sqlite, Backend::Postgres];

impl Backend {
    /// The name in test names and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
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
            Self::Postgres => postgres_url().err(),
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
            Self::Postgres => postgres_url().expect("a server, as missing() said"),
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
        OpenOptions::new(self.url(parameters)).namespace(&self.namespace).poll_interval(POLL_INTERVAL)
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

/// The Postgres of this run.
static POSTGRES: OnceLock<std::result::Result<PostgresOfRun, String>> = OnceLock::new();

#[derive(Debug)]
enum PostgresOfRun {
    Given(String),
    Ours(Mutex<Option<PostgresServer>>, String),
}

fn postgres_url() -> std::result::Result<String, String> {
    let postgres = POSTGRES.get_or_init(|| {
        if let Ok(url) = std::env::var(POSTGRES_URL) {
            return Ok(PostgresOfRun::Given(url));
        }
        match PostgresServer::start() {
            Ok(server) => {
                let url = server.url();
                Ok(PostgresOfRun::Ours(Mutex::new(Some(server)), url))
            }
            Err(StartError::NotHere(reason)) => Err(reason),
            Err(StartError::Failed(reason)) => panic!("{reason}"),
        }
    });
    match postgres {
        Ok(PostgresOfRun::Given(url) | PostgresOfRun::Ours(_, url)) => Ok(url.clone()),
        Err(reason) => Err(reason.clone()),
    }
}

/// Ends the servers this run started. Statics are never dropped, so the suite says when.
pub fn stop_servers() {
    if let Some(Ok(PostgresOfRun::Ours(server, _))) = POSTGRES.get() {
        drop(server.lock().ok().and_then(|mut server| server.take()));
    }
}

/// The workspace's `tests` folder.
pub static TESTS: LazyLock<PathBuf> = LazyLock::new(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
