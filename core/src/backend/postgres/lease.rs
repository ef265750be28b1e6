//! A borrowed connection.

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

/// How long the first statement of a read may take at most on a connection that lay idle: then another connection is
/// tried.
const FIRST_READ: Duration = Duration::from_secs(5);

/// A borrowed connection. Goes back, or is closed, when this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    session: Option<Session>,
    clean: bool,
    in_transaction: bool,
    /// Whether it lay idle before it was borrowed.
    pub(super) was_idle: bool,
    /// Set while the first statement may be cut short, to be run again elsewhere.
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

    /// What runs the statements that are sent now.
    pub(super) fn backend(&self) -> Option<Backend> {
        self.session.as_ref().and_then(|session| session.backend.clone())
    }

    /// What is learned of the log with this connection holds for this generation of the pool alone.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn database(&self) -> u32 {
        self.session.as_ref().map_or(0, |session| session.database)
    }

    /// What is known of a namespace on this connection.
    pub(super) fn checked(&self, namespace: &str) -> Option<&Checked> {
        self.session.as_ref()?.checked.get(namespace)
    }

    pub(super) fn set_checked(&mut self, namespace: &str, checked: Checked) {
        if let Some(session) = &mut self.session {
            session.checked.insert(namespace.to_owned(), checked);
        }
    }

    /// Says that the next statement only reads. If the connection lay idle, it can then be cut short and run elsewhere.
    pub(super) const fn expect_read(&mut self) {
        self.first_read = self.was_idle;
    }

    /// Runs one prepared statement to its end.
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

    /// Runs statements as they are, one after the other in one trip.
    pub(super) async fn run(&mut self, sql: SqlStr, deadline: Instant) -> Result<Vec<PgRow>, Failure> {
        if !self.by_transaction() || self.in_transaction {
            return self.send_text(sql, deadline).await;
        }
        self.enter(deadline).await?;
        let answer = self.send_text(sql, deadline).await;
        self.leave(answer, deadline).await
    }

    /// Begins a transaction by a text that begins with [`BEGIN`]. Until it is committed or rolled back the connection
    /// does not go back.
    pub(super) async fn begin(&mut self, sql: &SqlStr, deadline: Instant) -> Result<(), Failure> {
        if !self.by_transaction() {
            self.in_transaction = true;
            return self.send_text(sql.clone(), deadline).await.map(drop);
        }
        self.enter(deadline).await?;
        let rest = sql.as_str().strip_prefix(BEGIN).unwrap_or_else(|| sql.as_str());
        // A piece of a text that is safe.
        self.send_text(AssertSqlSafe(rest.to_owned()).into_sql_str(), deadline).await.map(drop)
    }

    /// Commits. After a failure it may have been committed or not.
    pub(super) async fn commit(&mut self, deadline: Instant) -> Result<(), Failure> {
        self.send_text(SqlStr::from_static("commit"), deadline).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Rolls back; where that fails the connection is closed, which does it too.
    pub(super) async fn roll_back(&mut self, deadline: Instant) {
        if self.clean && self.send_text(SqlStr::from_static("rollback"), deadline).await.is_ok() {
            self.in_transaction = false;
        }
    }

    /// Whether a transaction pooler lends the session for one transaction at a time.
    fn by_transaction(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.set_up.transaction_only())
    }

    /// Begins a transaction behind a transaction pooler and sets up what holds to its end.
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

    /// Until when the next statement is waited for.
    fn limit(&mut self, deadline: Instant) -> Instant {
        if !std::mem::take(&mut self.first_read) {
            return deadline;
        }
        let now = Instant::now();
        now + FIRST_READ.min(deadline.saturating_duration_since(now) / 2)
    }

    async fn settle<T>(&mut self, answer: Result<T, Failure>, deadline: Instant) -> Result<T, Failure> {
        match &answer {
            // After one connection was lost the others are probably dead too.
            Err(Failure::Lost(_)) => self.idle.clear(),
            Err(Failure::Late) => self.idle.suspect(),
            _ => {}
        }
        let answer = match answer {
            Err(failure) if failure.is_read_only() => Err(self.why_read_only(failure, deadline).await),
            other => other,
        };
        self.clean |= answer.as_ref().err().is_none_or(|failure| !failure.spoils());
        answer.map_err(|failure| self.connector.mask(failure))
    }

    /// A server that became a standby will be followed by another; one that was set read-only stays so.
    async fn why_read_only(&mut self, failure: Failure, deadline: Instant) -> Failure {
        let Some(session) = &mut self.session else { return failure };
        // The answer to the last statement, also if there is no transaction to end.
        let ask = sqlx::raw_sql(SqlStr::from_static("rollback; select pg_is_in_recovery()"));
        match timeout_at(deadline, ask.fetch_one(&mut session.connection)).await {
            Ok(Ok(row)) if matches!(row.try_get(0), Ok(false)) => {
                self.in_transaction = false;
                failure.stays()
            }
            _ => failure,
        }
    }
}

fn late(limit: Instant, deadline: Instant) -> Failure {
    if limit < deadline { Failure::Lost("no answer in time, after it had been idle".to_owned()) } else { Failure::Late }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(session) = self.session.take().filter(|_| self.clean && !self.in_transaction) {
            self.idle.put(session);
        }
    }
}
