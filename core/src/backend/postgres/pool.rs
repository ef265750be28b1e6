//! The connection pool of a database. It lends each connection for one operation.
//!
//! A connection returns to the pool only if its operation ended cleanly. After a deadline, a dropped future, or an
//! error that is not a plain answer of the server, it is closed. Idle connections are not checked before use, except
//! after a deadline passed on another one.

use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlStr;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::connect::{Connector, disconnect};
use super::error::Failure;
use super::idle::{Idle, Taken};
use super::lease::Lease;
use super::session::Session;

/// How long the check of a connection that may be dead takes at most.
const CHECK_TIME: Duration = Duration::from_secs(1);

/// The connections of a database.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) connector: Arc<Connector>,
    free: Arc<Semaphore>,
    idle: Arc<Idle>,
}

impl Pool {
    pub(super) fn new(connector: Connector, max_connections: u32) -> Self {
        let permits = usize::try_from(max_connections).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { connector: Arc::new(connector), free: Arc::new(Semaphore::new(permits)), idle: Arc::default() }
    }

    /// Makes the first connection, and refuses a server that the store cannot use.
    pub(super) async fn connect_first(&self, deadline: Instant) -> Result<(), Failure> {
        self.idle.put(self.connector.connect_first(deadline).await?);
        Ok(())
    }

    /// Borrows a connection, and waits for a free one.
    pub(super) async fn lease(&self, deadline: Instant) -> Result<Lease, Failure> {
        let permit = match timeout_at(deadline, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(Failure::Closed),
            Err(_) => {
                return Err(Failure::Unreached("the deadline passed while all connections were in use".to_owned()));
            }
        };
        let session = match self.idle.take() {
            Some(Taken { session, suspect: false }) => Some(session),
            Some(Taken { session, suspect: true }) => self.alive(session, deadline).await,
            None => None,
        };
        let (session, was_idle) = match session {
            Some(session) => (session, true),
            None => (self.connector.connect(deadline).await?, false),
        };
        // A transaction pooler keeps the connection open even if another server takes over behind it.
        if !was_idle || session.set_up.transaction_only() {
            self.idle.begin_generation();
        }
        Ok(Lease::new(session, Arc::clone(&self.connector), Arc::clone(&self.idle), permit, was_idle))
    }

    /// Returns the session if it answers. Otherwise the other idle sessions are probably dead too, and are closed.
    async fn alive(&self, mut session: Session, deadline: Instant) -> Option<Session> {
        let now = Instant::now();
        let limit = now + CHECK_TIME.min(deadline.saturating_duration_since(now) / 2);
        let ask = sqlx::raw_sql(SqlStr::from_static("select 1")).fetch_all(&mut session.connection);
        if matches!(timeout_at(limit, ask).await, Ok(Ok(_))) {
            return Some(session);
        }
        self.idle.clear();
        None
    }

    pub(super) async fn close(&self) {
        self.free.close();
        let deadline = Instant::now() + Duration::from_secs(1);
        for session in self.idle.close() {
            disconnect(session, deadline).await;
        }
    }
}
