//! Connections, lent for one operation each.
//!
//! A connection comes back only from an operation that ended cleanly; after anything else — a deadline, a future dropped half way, an error that is not the
//! server's plain answer — it is closed. Nothing is asked of it in between: no ping on the way out or back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, SqlStr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::connect::{Backend, Connector, Session, part};
use super::error::Failure;
use crate::faults::planted;

/// A connection that lay still for longer may have been cut off by something in between.
const IDLE: Duration = Duration::from_secs(240);

/// A store's connections.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) connector: Connector,
    free: Arc<Semaphore>,
    idle: Arc<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    sessions: Mutex<Vec<(Session, Instant)>>,
    closed: AtomicBool,
}

impl Idle {
    fn sessions(&self) -> MutexGuard<'_, Vec<(Session, Instant)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    pub(super) fn new(connector: Connector, max_connections: u32) -> Self {
        let permits = usize::try_from(max_connections).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { connector, free: Arc::new(Semaphore::new(permits)), idle: Arc::default() }
    }

    /// Borrows a connection; waits for a free one.
    pub(super) async fn lease(&self, deadline: Instant) -> Result<Lease, Failure> {
        let permit = match timeout_at(deadline, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(Failure::Closed),
            Err(_) => return Err(Failure::Unreached("the deadline passed while all connections were in use".to_owned())),
        };
        let idle = self.idle.sessions().pop().filter(|(_, since)| since.elapsed() < IDLE);
        let session = match idle {
            Some((session, _)) => session,
            None => self.connector.connect(deadline).await?,
        };
        Ok(Lease { session: Some(session), clean: true, in_transaction: false, idle: Arc::clone(&self.idle), _permit: permit })
    }

    pub(super) async fn close(&self) {
        self.free.close();
        self.idle.closed.store(true, Ordering::Release);
        let sessions = std::mem::take(&mut *self.idle.sessions());
        let deadline = Instant::now() + Duration::from_secs(1);
        for (session, _) in sessions {
            part(session, deadline).await;
        }
    }
}

/// A borrowed connection. Goes back, or is closed, when this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    session: Option<Session>,
    clean: bool,
    in_transaction: bool,
    idle: Arc<Idle>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    pub(super) fn backend(&self) -> Option<Backend> {
        self.session.as_ref().map(|session| session.backend.clone())
    }

    pub(super) fn database(&self) -> u32 {
        self.session.as_ref().map_or(0, |session| session.database)
    }

    /// Runs one prepared statement to its end.
    pub(super) async fn fetch(&mut self, query: Query<'_, Postgres, PgArguments>, deadline: Instant) -> Result<Vec<PgRow>, Failure> {
        let Some(session) = &mut self.session else { return Err(Failure::Bug("a connection was used after its end".to_owned())) };
        self.clean = planted("postgres-connection-returned");
        let answer = timeout_at(deadline, query.fetch_all(&mut session.connection)).await;
        self.settle(answer.map_err(|_| Failure::Late).and_then(|answer| answer.map_err(Failure::from)))
    }

    /// Runs statements as they are, one after the other in one trip.
    pub(super) async fn run(&mut self, sql: SqlStr, deadline: Instant) -> Result<Vec<PgRow>, Failure> {
        let Some(session) = &mut self.session else { return Err(Failure::Bug("a connection was used after its end".to_owned())) };
        self.clean = planted("postgres-connection-returned");
        let answer = timeout_at(deadline, sqlx::raw_sql(sql).fetch_all(&mut session.connection)).await;
        self.settle(answer.map_err(|_| Failure::Late).and_then(|answer| answer.map_err(Failure::from)))
    }

    fn settle<T>(&mut self, answer: Result<T, Failure>) -> Result<T, Failure> {
        if matches!(answer, Err(Failure::Lost(_))) {
            // After one connection was lost the others are probably dead too.
            self.idle.sessions().clear();
        }
        self.clean |= answer.as_ref().err().is_none_or(|failure| !failure.spoils());
        answer
    }

    /// Begins a transaction by a text that does. Until it is committed or rolled back the connection does not go back.
    pub(super) async fn begin(&mut self, sql: &SqlStr, deadline: Instant) -> Result<(), Failure> {
        self.in_transaction = true;
        self.run(sql.clone(), deadline).await.map(drop)
    }

    /// Commits. After a failure it may have been committed or not.
    pub(super) async fn commit(&mut self, deadline: Instant) -> Result<(), Failure> {
        self.run(SqlStr::from_static("commit"), deadline).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Rolls back; where that fails the connection is closed, which does it too.
    pub(super) async fn roll_back(&mut self, deadline: Instant) {
        if self.clean && self.run(SqlStr::from_static("rollback"), deadline).await.is_ok() {
            self.in_transaction = false;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(session) = self.session.take().filter(|_| self.clean && !self.in_transaction && !self.idle.closed.load(Ordering::Acquire)) {
            self.idle.sessions().push((session, Instant::now()));
        }
    }
}
