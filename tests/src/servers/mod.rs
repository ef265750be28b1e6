//! Temporary database servers, each with its own folder and a free port. A server stops when it is dropped.

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
/// A server that does not answer within this time is gone; a busy one answers earlier.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// The ports for servers, which are below those that systems give to clients.
const SERVER_PORTS: RangeInclusive<u16> = 10_000..=29_999;
/// How many ports are tried, because another program may take one before the server does.
const PORTS_TRIED: usize = 5;

/// Why there is no server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The machine has no such server or no account to run it: tests that need it are skipped with this reason.
    NotHere(String),
    /// The server did not start: tests that need it fail.
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
    /// Starts the server of a backend with its defaults for tests.
    ///
    /// # Errors
    /// `NotHere` when the machine has no such server or the backend needs none; `Failed` with the server's output.
    pub fn start(backend: Backend) -> Result<Self, StartError> {
        match backend {
            Backend::Postgres => PostgresServer::start().map(Self::Postgres),
            Backend::Mongodb => MongoServer::start().map(Self::Mongodb),
            Backend::Memory | Backend::Sqlite => Err(StartError::NotHere(format!("{backend} has no server"))),
        }
    }

    /// The server's URL, with a database and all privileges.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::Mongodb(server) => server.url(),
        }
    }

    /// Kills the server, as a crash does.
    ///
    /// # Errors
    /// The error of the system.
    pub fn stop_hard(&mut self) -> Result<(), String> {
        match self {
            Self::Postgres(server) => server.stop_hard(),
            Self::Mongodb(server) => server.stop_hard(),
        }
    }

    /// Starts the server again on the same port and data.
    ///
    /// # Errors
    /// The server's output.
    pub fn start_again(&mut self) -> Result<(), String> {
        match self {
            Self::Postgres(server) => server.start_again(),
            Self::Mongodb(server) => server.start_again(),
        }
    }
}

/// Whether the server at the URL answers within `ANSWER_LIMIT`.
pub async fn answers(backend: Backend, url: &str) -> bool {
    let asking = async {
        loop {
            let answered = match backend {
                Backend::Postgres => postgres::answers(url).await,
                Backend::Mongodb => mongodb::answers(url).await,
                Backend::Memory | Backend::Sqlite => true,
            };
            if answered {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(ANSWER_LIMIT, asking).await.is_ok()
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

/// A port on which no program listens. It is not in the range that systems give to clients and proxies, because such a
/// program could take it while the server starts, and a proxy would answer instead of the server.
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
