//! Connections, lent for one operation each.

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
/// The driver's own pool asks each connection for a sign of life before it lends it, which costs as much as a small
/// read. A local file needs none.
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

    /// Lends a connection to the file that was opened, waiting for one until the deadline.
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
                // Whatever took the file's place in between is not used.
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
