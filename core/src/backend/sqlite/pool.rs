//! A pool of connections, which lends each for one operation.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::connect::connect;
use super::error::Failure;
use super::identity::Identity;

/// A bounded number of connections to one file, opened when needed.
///
/// The driver's own pool checks each connection before it lends it, which costs as much as a small read. A connection
/// to a local file needs no check.
#[derive(Debug)]
pub(super) struct Pool {
    options: SqliteConnectOptions,
    identity: Arc<Identity>,
    slots: Semaphore,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl Pool {
    pub(super) fn new(options: SqliteConnectOptions, identity: Arc<Identity>, size: usize) -> Self {
        Self { options, identity, slots: Semaphore::new(size), idle: Mutex::default() }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Borrows a connection, and waits for a free one until the deadline. Fails if the file was removed or replaced.
    pub(super) async fn lease(&self, deadline: Instant) -> Result<Lease<'_>, Failure> {
        let slot = timeout_at(deadline, self.slots.acquire())
            .await
            .map_err(|_| Failure::late())?
            .map_err(|_| Failure::bug())?;
        self.identity.check(deadline).await?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = connect(&self.options, deadline).await?;
                // The file may have been replaced since the first check.
                self.identity.check(deadline).await?;
                connection
            }
        };
        Ok(Lease { connection, pool: self, _slot: slot })
    }

    #[cfg(test)]
    pub(super) fn has_idle(&self) -> bool {
        !self.idle().is_empty()
    }

    /// Puts a connection into the pool.
    pub(super) fn put(&self, connection: SqliteConnection) {
        self.idle().push(connection);
    }

    /// Closes the idle connections. The last connection of all processes removes the WAL.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            // An error does no harm: the file is intact either way.
            let _ = connection.close().await;
        }
    }
}

/// A borrowed connection. Dropping it closes it; an operation that ended cleanly gives it back.
#[derive(Debug)]
pub(super) struct Lease<'p> {
    pub(super) connection: SqliteConnection,
    pool: &'p Pool,
    _slot: SemaphorePermit<'p>,
}

impl Lease<'_> {
    /// Gives the connection back. No transaction may be open on it, and no statement running.
    pub(super) fn give_back(self) {
        self.pool.put(self.connection);
    }

    /// Gives the connection back if the operation succeeded, else closes it.
    pub(super) fn settle<T>(self, answer: Result<T, Failure>) -> Result<T, Failure> {
        if answer.is_ok() || crate::faults::planted("sqlite-connection-returned") {
            self.give_back();
        }
        answer
    }
}
