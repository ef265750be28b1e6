//! Throw-away database servers, each in a temporary folder and on a free port. Dropping one stops it.

mod account;
mod mongodb;
mod pgbouncer;
mod postgres;
mod programs;
mod secantusdb;

use std::fmt;
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::time::Duration;

pub use self::mongodb::MongoServer;
pub use self::pgbouncer::PgBouncer;
pub use self::postgres::PostgresServer;
use crate::harness::Backend;

/// How long a server may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Where servers listen: below the ports that systems give to clients.
const SERVER_PORTS: RangeInclusive<u16> = 10_000..=29_999;
/// Another program may have the port, or take it before the server does.
const PORTS_TRIED: usize = 5;

/// Why there is no server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The machine has no such server, or nobody to run it as: tests that need it are skipped with this reason.
    NotHere(String),
    /// There is one, and it did not start: tests that need it fail.
    Failed(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHere(reason) | Self::Failed(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for StartError {}

/// A server of either kind.
#[derive(Debug)]
pub enum Server {
    /// Postgres.
    Postgres(PostgresServer),
    /// MongoDB.
    Mongodb(MongoServer),
}

impl Server {
    /// Makes a server of the kind that a backend is for, with its defaults for tests.
    ///
    /// # Errors
    /// `NotHere` when the machine has no such server, or the backend none; `Failed` with what the server said.
    pub fn start(backend: Backend) -> Result<Self, StartError> {
        match backend {
            Backend::Postgres => PostgresServer::start().map(Self::Postgres),
            Backend::Mongodb => MongoServer::start().map(Self::Mongodb),
            Backend::Memory | Backend::Sqlite => Err(StartError::NotHere(format!("{backend} has no server"))),
        }
    }

    /// The server's URL, with a database in which everything may be done.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::Mongodb(server) => server.url(),
        }
    }

    /// Kills it, as a crash would.
    ///
    /// # Errors
    /// What the system said.
    pub fn stop_hard(&mut self) -> Result<(), String> {
        match self {
            Self::Postgres(server) => server.stop_hard(),
            Self::Mongodb(server) => server.stop_hard(),
        }
    }

    /// Starts it again, on the same port and data.
    ///
    /// # Errors
    /// What the server said.
    pub fn start_again(&mut self) -> Result<(), String> {
        match self {
            Self::Postgres(server) => server.start_again(),
            Self::Mongodb(server) => server.start_again(),
        }
    }
}

/// Starts a server on a free port, and tries another port if a program took it first.
fn on_a_free_port(mut launch: impl FnMut(u16) -> Result<(), String>) -> Result<(), String> {
    let mut said = String::new();
    for _ in 0..PORTS_TRIED {
        match launch(free_port()?) {
            Ok(()) => return Ok(()),
            Err(error) => said = error,
        }
    }
    Err(said)
}

/// A port that nothing listens on. It is none that the system gives to clients and proxies: one of them could take the
/// port while the server starts, and a proxy would answer in the server's place.
fn free_port() -> Result<u16, String> {
    let mut said = String::new();
    for _ in 0..PORTS_TRIED {
        let port = fastrand::u16(SERVER_PORTS);
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) => said = error.to_string(),
        }
    }
    Err(format!("no free port: {said}"))
}
