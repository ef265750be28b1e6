//! A borrowed connection: sends statements, sets up transactions behind a pooler, and returns to the pool or is closed.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Row, SqlSafeStr, SqlStr};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::connect::Connector;
use super::error::Failure;
use super::idle::Idle;
use super::names::BEGIN;
use super::session::{Backend, Checked, IN_RECOVERY, Session};
use crate::faults::planted;

/// The longest time for a read's first statement on a connection that was idle. After it the connection counts as lost,
/// and the read is retried on another one.
const FIRST_READ: Duration = Duration::from_secs(5);

/// A borrowed connection. Dropping it returns the connection to the pool, or closes it.
#[derive(Debug)]
pub(super) struct Lease {
    session: Option<Session>,
    /// Whether the last statement ended cleanly, so that the connection can be used again.
    clean: bool,
    in_transaction: bool,
    /// Whether the connection was idle before it was borrowed.
    pub(super) was_idle: bool,
    /// Whether the next statement is a read that may get less time, because it can be retried on another connection.
    first_read: bool,
    connector: Arc<Connector>,
    /// The pool's generation when this connection was lent.
    generation: u64,
    idle: Arc<Idle>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    pub(super) fn new(
        session: Session,
        connector: Arc<Connector>,
        idle: Arc<Idle>,
        permit: OwnedSemaphorePermit,
        was_idle: bool,
    ) -> Self {
        Self {
            session: Some(session),
            clean: true,
            in_transaction: false,
            was_idle,
            first_read: false,
            connector,
            generation: idle.generation(),
            idle,
            _permit: permit,
        }
    }

    /// The server process or transaction that runs the statements sent now.
    pub(super) fn backend(&self) -> Option<Backend> {
        self.session.as_ref().and_then(|session| session.backend.clone())
    }

    /// The pool's generation. What this connection shows of the log is valid in that generation only.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn database(&self) -> u32 {
        self.session.as_ref().map_or(0, |session| session.database)
    }

    /// The last check of a namespace on this connection.
    pub(super) fn checked(&self, namespace: &str) -> Option<&Checked> {
        self.session.as_ref()?.checked.get(namespace)
    }

    pub(super) fn set_checked(&mut self, namespace: &str, checked: Checked) {
        if let Some(session) = &mut self.session {
            session.checked.insert(namespace.to_owned(), checked);
        }
    }

    /// Declares that the next statement only reads. If the connection was idle, the statement gets less time.
    pub(super) const fn expect_read(&mut self) {
        self.first_read = self.was_idle;
    }

    /// Runs one prepared statement and returns all its rows.
    pub(super) async fn fetch(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
        deadline: Instant,
    ) -> Result<Vec<PgRow>, Failure> {
        if !self.by_transaction() {
            return self.send(query, deadline).await;
        }
        // The next transaction may run in another session, which does not know the statement.
        let query = query.persistent(false);
        if self.in_transaction {
            return self.send(query, deadline).await;
        }
        self.enter(deadline).await?;
        let answer = self.send(query, deadline).await;
        self.leave(answer, deadline).await
    }

    /// Runs several statements as one text in one round trip.
    pub(super) async fn run(&mut self, sql: SqlStr, deadline: Instant) -> Result<Vec<PgRow>, Failure> {
        if !self.by_transaction() || self.in_transaction {
            return self.send_text(sql, deadline).await;
        }
        self.enter(deadline).await?;
        let answer = self.send_text(sql, deadline).await;
        self.leave(answer, deadline).await
    }

    /// Begins a transaction with a text that starts with [`BEGIN`]. A connection in a transaction does not return to
    /// the pool.
    pub(super) async fn begin(&mut self, sql: &SqlStr, deadline: Instant) -> Result<(), Failure> {
        if !self.by_transaction() {
            self.in_transaction = true;
            return self.send_text(sql.clone(), deadline).await.map(drop);
        }
        self.enter(deadline).await?;
        let rest = sql.as_str().strip_prefix(BEGIN).unwrap_or_else(|| sql.as_str());
        // Part of a text that is already declared safe.
        self.send_text(AssertSqlSafe(rest.to_owned()).into_sql_str(), deadline).await.map(drop)
    }

    /// Commits. After a failure the outcome is unknown.
    pub(super) async fn commit(&mut self, deadline: Instant) -> Result<(), Failure> {
        self.send_text(SqlStr::from_static("commit"), deadline).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Rolls back. If that fails, the connection is closed, which also rolls back.
    pub(super) async fn roll_back(&mut self, deadline: Instant) {
        if self.clean && self.send_text(SqlStr::from_static("rollback"), deadline).await.is_ok() {
            self.in_transaction = false;
        }
    }

    /// Whether a transaction pooler lends the session for one transaction at a time.
    fn by_transaction(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.set_up.transaction_only())
    }

    /// Begins a transaction behind a transaction pooler, and applies the session's settings to it.
    async fn enter(&mut self, deadline: Instant) -> Result<(), Failure> {
        let set_up = self.session.as_ref().map(|session| session.set_up.clone());
        let set_up = set_up.ok_or_else(|| Failure::Bug("a connection was used after its end".to_owned()))?;
        self.in_transaction = true;
        let rows = self.send_text(set_up.text(), deadline).await.map_err(Failure::before_sending)?;
        let about = set_up.read_back(&rows)?;
        if about.in_recovery {
            return Err(Failure::Unreached(IN_RECOVERY.to_owned()));
        }
        if let Some(session) = &mut self.session {
            session.backend = Some(about.backend);
            session.database = about.database;
        }
        Ok(())
    }

    /// Ends what [`Self::enter`] began.
    async fn leave<T>(&mut self, answer: Result<T, Failure>, deadline: Instant) -> Result<T, Failure> {
        match answer {
            Ok(answer) => self.commit(deadline).await.map(|()| answer),
            Err(failure) => {
                self.roll_back(deadline).await;
                Err(failure)
            }
        }
    }

    async fn send(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
        deadline: Instant,
    ) -> Result<Vec<PgRow>, Failure> {
        let limit = self.limit(deadline);
        let Some(session) = &mut self.session else {
            return Err(Failure::Bug("a connection was used after its end".to_owned()));
        };
        self.clean = planted("postgres-connection-returned");
        let answer = timeout_at(limit, query.fetch_all(&mut session.connection)).await;
        let answer = answer.map_err(|_| late(limit, deadline)).and_then(|answer| answer.map_err(Failure::from));
        self.settle(answer, deadline).await
    }

    async fn send_text(&mut self, sql: SqlStr, deadline: Instant) -> Result<Vec<PgRow>, Failure> {
        let limit = self.limit(deadline);
        let Some(session) = &mut self.session else {
            return Err(Failure::Bug("a connection was used after its end".to_owned()));
        };
        self.clean = planted("postgres-connection-returned");
        let answer = timeout_at(limit, sqlx::raw_sql(sql).fetch_all(&mut session.connection)).await;
        let answer = answer.map_err(|_| late(limit, deadline)).and_then(|answer| answer.map_err(Failure::from));
        self.settle(answer, deadline).await
    }

    /// The time limit of the next statement.
    fn limit(&mut self, deadline: Instant) -> Instant {
        if !std::mem::take(&mut self.first_read) {
            return deadline;
        }
        let now = Instant::now();
        now + FIRST_READ.min(deadline.saturating_duration_since(now) / 2)
    }

    async fn settle<T>(&mut self, answer: Result<T, Failure>, deadline: Instant) -> Result<T, Failure> {
        match &answer {
            // The idle connections are probably lost too.
            Err(Failure::Lost(_)) => self.idle.clear(),
            Err(Failure::Late) => self.idle.suspect(),
            _ => {}
        }
        let answer = match answer {
            Err(failure) if failure.is_read_only() => Err(self.why_read_only(failure, deadline).await),
            other => other,
        };
        self.clean |= answer.as_ref().err().is_none_or(|failure| !failure.closes_connection());
        answer.map_err(|failure| self.connector.mask(failure))
    }

    /// Finds out why the server takes no writes: as a standby it will be replaced by a new primary, and a server that
    /// is set read-only stays so.
    async fn why_read_only(&mut self, failure: Failure, deadline: Instant) -> Failure {
        let Some(session) = &mut self.session else { return failure };
        // The rollback is harmless without a transaction, and the answer is the last statement's.
        let ask = sqlx::raw_sql(SqlStr::from_static("rollback; select pg_is_in_recovery()"));
        match timeout_at(deadline, ask.fetch_one(&mut session.connection)).await {
            Ok(Ok(row)) if matches!(row.try_get(0), Ok(false)) => {
                self.in_transaction = false;
                failure.lasting()
            }
            _ => failure,
        }
    }
}

fn late(limit: Instant, deadline: Instant) -> Failure {
    if limit < deadline {
        Failure::Lost("no answer in time on a connection that was idle".to_owned())
    } else {
        Failure::Late
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(session) = self.session.take().filter(|_| self.clean && !self.in_transaction) {
            self.idle.put(session);
        }
    }
}
