//! Reads the facts that core decides by, ends earlier attempts that could still change them, and makes sure that what
//! the facts show is durable.

use std::collections::HashSet;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use sqlx::Row;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::Postgres;
use super::attempt::FailedAttempt;
use super::error::Failure;
use super::lease::Lease;
use super::row::{event, is_shell, number};
use super::session::Backend;
use crate::decision::{Facts, KnownEvent};
use crate::faults::point;

/// The pause between two checks whether an earlier attempt has ended.
const CHECK_PAUSE: Duration = Duration::from_millis(20);

impl Postgres {
    /// Commits a transaction that writes only to the WAL. Its commit waits until the events that the facts show are as
    /// durable as an append of this store: a standby may not have them yet.
    pub(super) async fn confirm(&self, lease: &mut Lease, deadline: Instant) -> Result<(), FailedAttempt> {
        let confirmed = lease.fetch(sqlx::query(self.statements.confirm.clone()), deadline).await;
        confirmed.map(drop).map_err(|failure| FailedAttempt::of(lease, failure))
    }

    /// Reads which of the ids are known, with their events, and the versions of the streams, all in one snapshot.
    pub(super) async fn facts(
        &self,
        lease: &mut Lease,
        streams: &[&str],
        ids: &[Uuid],
        deadline: Instant,
    ) -> Result<Facts, Failure> {
        let streams: Vec<&str> = streams.iter().copied().collect::<HashSet<_>>().into_iter().collect();
        let query = sqlx::query(self.statements.facts.clone()).bind(streams).bind(ids);
        read_facts(&lease.fetch(query, deadline).await?)
    }

    /// Ends earlier attempts, or waits for their end, so that facts read afterwards do not change.
    pub(super) async fn end_all(
        &self,
        lease: &mut Lease,
        running: &mut Vec<Backend>,
        deadline: Instant,
    ) -> Result<(), Failure> {
        while let Some(backend) = running.last() {
            let end = sqlx::query(self.statements.end.clone()).bind(backend.pid).bind(&backend.started);
            match lease.fetch(end, deadline).await {
                // Without the privilege to end the process, the store waits for its end.
                Ok(_) | Err(Failure::Refused { .. }) => {}
                Err(failure) => return Err(failure),
            }
            while self.is_running(lease, backend, deadline).await? {
                sleep(CHECK_PAUSE).await;
            }
            running.pop();
        }
        point("postgres-attempts-ended").await;
        Ok(())
    }

    async fn is_running(&self, lease: &mut Lease, backend: &Backend, deadline: Instant) -> Result<bool, Failure> {
        let look = sqlx::query(self.statements.ended.clone()).bind(backend.pid).bind(&backend.started);
        let rows = lease.fetch(look, deadline).await?;
        Ok(rows.first().map(|row| row.try_get::<i64, _>(0)).transpose()?.is_none_or(|count| count > 0))
    }
}

/// Reads the rows of the facts: a row without a position is a stream's version, every other row an event.
pub(super) fn read_facts(rows: &[sqlx::postgres::PgRow]) -> Result<Facts, Failure> {
    let mut facts = Facts::default();
    for row in rows {
        let (stream, version): (String, u64) = (row.try_get(1)?, number(row, 2)?);
        if row.try_get::<Option<i64>, _>(0)?.is_none() {
            facts.heads.insert(stream, version);
            continue;
        }
        let content = if is_shell(row)? { None } else { Some(Box::new(event(row)?)) };
        facts.known.insert(row.try_get(3)?, KnownEvent { stream, version, position: number(row, 0)?, content });
    }
    Ok(facts)
}

/// The pauses between attempts. They are short at first, and have jitter, so that competing writers move apart.
pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(2))
        .with_max_delay(Duration::from_millis(500))
        .without_max_times()
        .with_jitter()
        .build()
}
