//! The connections of a database, lent for one operation each.
//!
//! A connection comes back only from an operation that ended cleanly; after anything else — a deadline, a future
//! dropped half way, an error that is not the server's plain answer — it is closed. Nothing is asked of it in between,
//! except after another one let a deadline pass: then those that are idle are asked whether they live before they are
//! used.

use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlStr;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::connect::{Connector, part};
use super::error::Failure;
use super::idle::{Idle, Taken};
use super::lease::Lease;
use super::session::Session;

/// How long a connection that may be dead is asked whether it lives.
const PATIENCE: Duration = Duration::from_secs(1);

/// A database's connections.
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

    /// Makes the first connection, by which a server that cannot be worked with is refused.
    pub(super) async fn connect_first(&self, deadline: Instant) -> Result<(), Failure> {
        self.idle.put(self.connector.connect_first(deadline).await?);
        Ok(())
    }

    /// Borrows a connection; waits for a free one.
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
        // A transaction pooler keeps its side of the connection when the server is another one.
        if !was_idle || session.set_up.transaction_only() {
            self.idle.begin_generation();
        }
        Ok(Lease::new(session, Arc::clone(&self.connector), Arc::clone(&self.idle), permit, was_idle))
    }

    /// The session, if it answers. If not, the others that are idle will not either.
    async fn alive(&self, mut session: Session, deadline: Instant) -> Option<Session> {
        let now = Instant::now();
        let limit = now + PATIENCE.min(deadline.saturating_duration_since(now) / 2);
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
            part(session, deadline).await;
        }
    }
}
