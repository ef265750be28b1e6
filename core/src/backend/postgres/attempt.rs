//! One attempt to write some appends of a group; [`super::append`] decides what follows from it.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::Postgres;
use super::batch::{Batch, Taken, demand};
use super::doubt::Doubt;
use super::error::Failure;
use super::lease::Lease;
use super::names::lock_streams;
use super::row::{bigint, written};
use super::session::Backend;
use crate::decision::{Decision, decide_appends, may_become_wrong};
use crate::error::Result as Answer;
use crate::faults::{planted, point};
use crate::request::{AppendRequest, AppendResult};

/// The longest wait for a lock while the gate is held. The gate is a lock that appends share; an append that needs it
/// exclusively waits for all who hold it.
pub(super) const GATED_WAIT: Duration = Duration::from_millis(100);
/// Time reserved for the answer, so that a lock that is not granted becomes a clear error before the deadline.
pub(super) const ANSWER_TIME: Duration = Duration::from_millis(100);

/// How an attempt decides what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One statement in one round trip and one commit. It writes the appends whose expected version holds.
    Plain,
    /// First reads the facts in one snapshot and lets core decide. Then the same statement writes, and expects the
    /// exact heads that the decision saw. No lock is held between the two round trips.
    Careful,
}

/// The lock that an attempt takes first, in a transaction around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    None,
    /// The locks of its streams: stores that append to a contended stream take turns.
    Streams,
    /// The gate, exclusively: no other append of the namespace runs meanwhile.
    Gate,
}

/// The result of an attempt for one append.
pub(super) enum Step {
    Answer(Answer<AppendResult>),
    /// The plain form did not write it. The facts tell why.
    Unwritten,
    /// Core refused it while an earlier attempt could still change that. The earlier attempt has ended by now, so core
    /// decides again.
    Ended,
    /// Another writer changed its stream after the facts were read.
    Raced,
    /// It depends on another append of its group, and is decided in the next attempt.
    Again,
}

/// A failed attempt, and the server process that may still run it.
#[derive(Debug)]
pub(super) struct FailedAttempt {
    pub(super) failure: Failure,
    pub(super) backend: Option<Backend>,
}

impl FailedAttempt {
    pub(super) fn of(lease: &Lease, failure: Failure) -> Self {
        Self { backend: lease.backend(), failure }
    }

    pub(super) const fn not_written(failure: Failure) -> Self {
        Self { failure, backend: None }
    }
}

/// The appends of one attempt, and how to make it.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub(super) requests: Vec<&'a AppendRequest>,
    pub(super) form: Form,
    pub(super) turn: Turn,
    /// How long the statement waits for a lock.
    pub(super) wait: Duration,
    /// Whether earlier attempts must end before this one starts.
    pub(super) end_first: bool,
}

impl Attempt<'_> {
    /// The latest deadline of the appends: until then the connection stays open.
    fn deadline(&self) -> Instant {
        self.requests.iter().map(|request| request.deadline).max().unwrap_or_else(Instant::now)
    }
}

impl Postgres {
    pub(super) async fn attempt(&self, attempt: &Attempt<'_>, doubt: &mut Doubt) -> Result<Vec<Step>, FailedAttempt> {
        let deadline = attempt.deadline();
        let mut lease = self.pool.lease(deadline).await.map_err(FailedAttempt::not_written)?;
        if attempt.end_first {
            self.end_all(&mut lease, &mut doubt.running, deadline).await.map_err(FailedAttempt::not_written)?;
        }
        let in_turn = attempt.turn != Turn::None;
        let streams = || attempt.requests.iter().map(|request| request.stream.as_str());
        let begun = match attempt.turn {
            Turn::Gate => lease.begin(&self.statements.lock_gate, deadline).await,
            Turn::Streams => lease.begin(&lock_streams(self.class, streams()), deadline).await,
            Turn::None => Ok(()),
        };
        let steps = match (begun, attempt.form) {
            (Err(failure), _) => Err(FailedAttempt::not_written(failure)),
            (Ok(()), Form::Plain) => self.plain(&mut lease, attempt, deadline).await,
            (Ok(()), Form::Careful) => self.careful(&mut lease, attempt, deadline, doubt).await,
        };
        let steps = match steps {
            Ok(steps) if in_turn => {
                lease.commit(deadline).await.map_err(|failure| FailedAttempt::of(&lease, failure))?;
                steps
            }
            Ok(steps) => steps,
            Err(failed) => {
                if in_turn {
                    lease.roll_back(deadline).await;
                }
                return Err(failed);
            }
        };
        if steps.iter().any(|step| matches!(step, Step::Ended)) {
            self.end_all(&mut lease, &mut doubt.running, deadline).await.map_err(FailedAttempt::not_written)?;
        }
        Ok(steps)
    }

    async fn plain(
        &self,
        lease: &mut Lease,
        attempt: &Attempt<'_>,
        deadline: Instant,
    ) -> Result<Vec<Step>, FailedAttempt> {
        let batch = Batch::new(attempt.requests.iter().map(|request| (*request, demand(request.expected))));
        point("postgres-append-before").await;
        let sent = self.insert(lease, &batch, attempt.wait, deadline).await;
        point("postgres-append-after").await;
        let taken = sent.map_err(|failure| FailedAttempt::of(lease, failure))?;
        let step = |taken: Option<AppendResult>| taken.map_or(Step::Unwritten, |appended| Step::Answer(Ok(appended)));
        Ok(taken.into_iter().map(step).collect())
    }

    async fn careful(
        &self,
        lease: &mut Lease,
        attempt: &Attempt<'_>,
        deadline: Instant,
        doubt: &mut Doubt,
    ) -> Result<Vec<Step>, FailedAttempt> {
        let requests: Vec<AppendRequest> = attempt.requests.iter().map(|request| (*request).clone()).collect();
        let streams: Vec<&str> = requests.iter().map(|request| request.stream.as_str()).collect();
        let ids: Vec<Uuid> = requests.iter().flat_map(|request| request.events.iter().map(|event| event.id)).collect();
        let may_run = doubt.may_run();
        let facts = self.facts(lease, &streams, &ids, deadline).await.map_err(FailedAttempt::not_written)?;
        doubt.facts_read(!may_run);
        point("postgres-between-facts-and-insert").await;
        let decisions = decide_appends(&requests, &facts);
        let writes = requests.iter().zip(&decisions).filter(|(_, decision)| matches!(decision, Decision::Write { .. }));
        let heads =
            writes.map(|(request, _)| (request, bigint(facts.heads.get(&request.stream).copied().unwrap_or(0))));
        let batch = Batch::new(heads);
        let taken = if batch.is_empty() {
            Taken::new()
        } else {
            self.insert(lease, &batch, attempt.wait, deadline)
                .await
                .map_err(|failure| FailedAttempt::of(lease, failure))?
        };
        let repeated = decisions.iter().any(|decision| matches!(decision, Decision::Repeated(_)));
        // A write just now has confirmed the repeated appends too: its commit is durable after theirs.
        if repeated && taken.iter().all(Option::is_none) {
            doubt.found_unconfirmed();
            self.confirm(lease, deadline).await?;
            doubt.facts_read(!may_run);
        }
        let mut taken = taken.into_iter();
        let too_early = planted("postgres-refusal-too-early");
        let step = |(request, decision): (&AppendRequest, Decision)| match decision {
            Decision::Write { .. } => taken.next().flatten().map_or(Step::Raced, |appended| Step::Answer(Ok(appended))),
            Decision::Repeated(appended) => Step::Answer(Ok(appended)),
            // An earlier attempt that still runs could make this refusal wrong. It is ended first, and the facts are
            // read again.
            Decision::Refuse(error) if may_run && may_become_wrong(request, &error) && !too_early => Step::Ended,
            Decision::Refuse(error) => Step::Answer(Err(error)),
            Decision::Again => Step::Again,
        };
        Ok(requests.iter().zip(decisions).map(step).collect())
    }

    /// Sends a batch and returns which of its appends were written, in the batch's order.
    ///
    /// A statement that may wait longer than [`GATED_WAIT`] does not take the gate, so that others can take it
    /// exclusively.
    async fn insert(
        &self,
        lease: &mut Lease,
        batch: &Batch<'_>,
        wait: Duration,
        deadline: Instant,
    ) -> Result<Taken, Failure> {
        let statements = &self.statements;
        let statement = match (wait > GATED_WAIT, batch.rows.has_tags()) {
            (false, false) => &statements.append,
            (false, true) => &statements.append_tagged,
            (true, false) => &statements.append_patient,
            (true, true) => &statements.append_patient_tagged,
        };
        let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(ANSWER_TIME);
        let query = batch.rows.bind(statement, wait.min(left).as_millis().max(1).to_string());
        let early = planted("postgres-check-after-draw");
        #[cfg(streamkeep_faults)]
        if early {
            lease.begin(&super::bugs::draw_first(&self.names, self.class), deadline).await?;
            // Gives another writer time to commit in between.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let rows = lease.fetch(query, deadline).await?;
        if early {
            lease.commit(deadline).await?;
        }
        batch.taken(&written(&rows)?)
    }
}
