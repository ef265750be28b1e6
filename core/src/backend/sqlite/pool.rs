//! Connections, lent for one operation each.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::error::{Failure, FailureKind};

/// Waits for an answer of the driver until the deadline. What was sent goes on; its connection must not be used again.
pub(super) async fn within<T, E: Into<Failure>>(deadline: Instant, answer: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    timeout_at(deadline, answer).await.map_err(|_| Failure::late())?.map_err(Into::into)
}

/// Opens a connection, waiting while somebody closes the file or recovers its WAL.
pub(super) async fn connect(options: &SqliteConnectOptions, deadline: Instant) -> Result<SqliteConnection, Failure> {
    loop {
        match within(deadline, options.connect()).await {
            Err(failure) if failure.kind == FailureKind::Busy => {}
            answer => return answer,
        }
    }
}

/// A bounded number of connections to one file, opened when needed.
///
/// The driver's own pool asks each connection for a sign of life before it lends it, which costs as much as a small read. A local file needs none.
#[derive(Debug)]
pub(super) struct Pool {
    options: SqliteConnectOptions,
    slots: Semaphore,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl Pool {
    pub(super) fn new(options: SqliteConnectOptions, size: usize) -> Self {
        Self { options, slots: Semaphore::new(size), idle: Mutex::default() }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends a connection, waiting for one until the deadline.
    pub(super) async fn lease(&self, deadline: Instant) -> Result<Lease<'_>, Failure> {
        let slot = timeout_at(deadline, self.slots.acquire()).await.map_err(|_| Failure::late())?.map_err(|_| Failure::bug())?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.options, deadline).await?,
        };
        Ok(Lease { connection, pool: self, _slot: slot })
    }

    /// Takes a connection that was opened elsewhere.
    pub(super) fn adopt(&self, connection: SqliteConnection) {
        self.idle().push(connection);
    }

    /// Closes what is idle, and waits for it. The last connection of all processes takes the WAL with it.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            // An error here changes nothing: the file is whole either way.
            let _ = connection.close().await;
        }
    }
}

/// A connection on loan. Dropped, it is closed; only an operation that ended cleanly gives it back.
#[derive(Debug)]
pub(super) struct Lease<'p> {
    pub(super) connection: SqliteConnection,
    pool: &'p Pool,
    _slot: SemaphorePermit<'p>,
}

impl Lease<'_> {
    /// Gives the connection back: no transaction is open on it and no statement under way.
    pub(super) fn give_back(self) {
        self.pool.adopt(self.connection);
    }

    /// Gives the connection back if the operation ended well, else closes it.
    pub(super) fn settle<T>(self, answer: Result<T, Failure>) -> Result<T, Failure> {
        if answer.is_ok() || crate::faults::planted("sqlite-connection-returned") {
            self.give_back();
        }
        answer
    }
}
