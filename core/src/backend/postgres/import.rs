//! Imports events that were recorded elsewhere: all of them or none.

use super::Postgres;
use super::attempt::FailedAttempt;
use super::doubt::Doubt;
use super::error::{Class, Failure};
use super::facts::pauses;
use super::lease::Lease;
use super::names::safe;
use super::row::{Rows, bigint, written};
use crate::decision::{Facts, ImportDecision, decide_import};
use crate::error::{Error, Result};
use crate::faults::point;
use crate::request::{ImportRequest, ImportResult};

use tokio::time::{Instant, sleep};

/// How long one attempt waits for a lock.
const WAIT_MS: u64 = 500;

impl Postgres {
    /// Tries until the import is written or refused. A refusal is final only if no earlier attempt still runs that
    /// could change it.
    pub(super) async fn import_events(&self, request: &ImportRequest) -> Result<ImportResult> {
        let (mut doubt, mut pauses) = (Doubt::default(), pauses());
        loop {
            let failure = match self.import_once(request, &mut doubt).await {
                Ok(Some(answer)) => return answer,
                Ok(None) => continue,
                Err(failed) => {
                    doubt.note(&failed);
                    failed.failure
                }
            };
            let last = Instant::now() >= request.deadline || failure.class() == Class::Final;
            if last {
                return Err(doubt.error(failure));
            }
            sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    /// Makes one attempt. `None` means that earlier attempts were ended, and the caller must decide again.
    async fn import_once(
        &self,
        request: &ImportRequest,
        doubt: &mut Doubt,
    ) -> std::result::Result<Option<Result<ImportResult>>, FailedAttempt> {
        let deadline = request.deadline;
        let mut lease = self.pool.lease(deadline).await.map_err(FailedAttempt::not_written)?;
        let streams: Vec<&str> = request.events.iter().map(|import| import.stream.as_str()).collect();
        let ids: Vec<_> = request.events.iter().map(|import| import.event.id).collect();
        let facts = self.facts(&mut lease, &streams, &ids, deadline).await.map_err(FailedAttempt::not_written)?;
        let pending = doubt.may_run();
        doubt.facts_read(!pending);
        let decisions = match decide_import(&request.events, &facts) {
            Ok(decisions) => decisions,
            Err(_) if pending => {
                self.end_all(&mut lease, &mut doubt.running, deadline).await.map_err(FailedAttempt::not_written)?;
                return Ok(None);
            }
            Err(refusal) => return Ok(Some(Err(refusal))),
        };
        let rows = rows(request, &decisions, &facts);
        let last_written = if rows.len() > 0 {
            Some(self.import_rows(&mut lease, &rows, deadline).await?)
        } else {
            doubt.found_unconfirmed();
            self.confirm(&mut lease, deadline).await?;
            None
        };
        let total = u64::try_from(decisions.len()).unwrap_or(u64::MAX);
        let imported = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let position = match decisions.last() {
            Some(ImportDecision::PassOver { position }) => Some(*position),
            Some(ImportDecision::Write { .. }) => last_written,
            None => Some(0),
        };
        let missing = || Error::internal("the last event of an import has no position");
        Ok(Some(position.ok_or_else(missing).map(|position| ImportResult {
            imported,
            passed_over: total - imported,
            position,
        })))
    }

    /// Writes the rows, and returns the position of the last one. It needs a transaction, so that a statement that
    /// skips some of the rows can be rolled back.
    async fn import_rows(
        &self,
        lease: &mut Lease,
        rows: &Rows<'_>,
        deadline: Instant,
    ) -> std::result::Result<u64, FailedAttempt> {
        let begin = safe("begin isolation level read committed".to_owned());
        let statement =
            if rows.has_tags() { &self.statements.append_patient_tagged } else { &self.statements.append_patient };
        let inserted = match lease.begin(&begin, deadline).await {
            Ok(()) => lease
                .fetch(rows.bind(statement, WAIT_MS.to_string()), deadline)
                .await
                .and_then(|answer| written(&answer)),
            Err(failure) => Err(failure),
        };
        match inserted {
            Ok(written) if written.len() == rows.len() => {
                point("postgres-import-before-commit").await;
                let committed = lease.commit(deadline).await;
                point("postgres-import-after-commit").await;
                committed.map_err(|failure| FailedAttempt::of(lease, failure))?;
                Ok(written.last().map_or(0, |row| row.position))
            }
            Ok(_) => {
                lease.roll_back(deadline).await;
                Err(FailedAttempt::not_written(Failure::Unreached(
                    "other writers appended to the same streams".to_owned(),
                )))
            }
            Err(failure) => {
                lease.roll_back(deadline).await;
                // Nothing was committed: only this session could have sent the commit.
                Err(FailedAttempt::not_written(failure))
            }
        }
    }
}

/// The rows to write, in the order given, each with the stream's version that the decision saw.
fn rows<'a>(request: &'a ImportRequest, decisions: &[ImportDecision], facts: &Facts) -> Rows<'a> {
    let mut rows = Rows::default();
    for (import, decision) in request.events.iter().zip(decisions) {
        if let ImportDecision::Write { version } = decision {
            let head = facts.heads.get(&import.stream).copied().unwrap_or(0);
            rows.push(&import.stream, version.saturating_sub(head), bigint(head), &import.event, import.recorded_at);
        }
    }
    rows
}
