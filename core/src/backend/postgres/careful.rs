//! The careful form: what the plain form did not take is looked at, decided in core, and written only as decided.
//!
//! Facts come from one snapshot; then the same statement as ever is sent with the exact heads the decision saw.
//! Whatever changed meanwhile shows as a missing row or a violation, and everything is decided again from new facts.
//! Nothing is held between the two trips, so a client that dies leaves nothing behind.

use std::collections::HashSet;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use sqlx::Row;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::Postgres;
use super::append::{ANSWER_TIME, Batch, PATIENT_WAIT, SHARED_WAIT, Taken, Trouble, last_deadline};
use super::doubt::Doubt;
use super::error::{Class, Failure};
use super::lease::Lease;
use super::row::{bigint, event, is_shell, number};
use super::session::Backend;
use crate::decision::{Decision, Facts, KnownEvent, decide_appends, may_turn};
use crate::error::Result;
use crate::faults::{planted, point};
use crate::request::{AppendRequest, AppendResult};

/// How long one that has the gate for itself waits: everybody waits with it.
const GATED_WAIT: Duration = Duration::from_millis(100);
/// How many races are run again before the gate is taken: repeating alone starves.
const FREE_REPEATS: u32 = 2;
/// Between two looks whether an earlier attempt is over.
const LOOK: Duration = Duration::from_millis(20);

/// How the next round goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Sharing,
    /// With the gate for itself: nobody else writes meanwhile.
    Gated,
    /// Behind somebody's open transaction, outside the gate.
    Patient,
}

/// How a round left one append.
enum Step {
    Answer(Result<AppendResult>),
    /// Refused, but an earlier attempt may still turn that.
    Turning,
    /// Others came in between.
    Raced,
    /// Something else is in the way: again, after a pause.
    Paused,
    /// It follows another of its group.
    Again,
}

impl Postgres {
    /// Decides and writes appends until each is answered. `doubt` is what is not known of earlier attempts at
    /// them.
    pub(super) async fn careful(&self, group: &[AppendRequest], mut doubt: Doubt) -> Vec<Result<AppendResult>> {
        let mut answers: Vec<Option<Result<AppendResult>>> = group.iter().map(|_| None).collect();
        let (mut mode, mut races, mut pauses) = (Mode::Sharing, 0, pauses());
        let mut last_failure = None;
        loop {
            answer_late(group, &mut answers, &doubt);
            let open: Vec<usize> = (0..group.len()).filter(|n| answers[*n].is_none()).collect();
            let requests: Vec<AppendRequest> = open.iter().map(|n| group[*n].clone()).collect();
            if requests.is_empty() {
                return answers.into_iter().flatten().collect();
            }
            let round = self.round(&requests, mode, &mut doubt).await;
            mode = if matches!(&round, Err(trouble) if trouble.failure.class() == Class::HeldUp) {
                Mode::Patient
            } else {
                Mode::Sharing
            };
            let steps = match round {
                Ok(steps) => steps,
                Err(trouble) if apart(&trouble.failure, &requests, &doubt) => {
                    Box::pin(self.one_by_one(&requests)).await.into_iter().map(Step::Answer).collect()
                }
                Err(trouble) => {
                    let steps = troubled(&requests, &trouble, &mut doubt);
                    last_failure = Some(trouble.failure);
                    steps
                }
            };
            let raced = steps.iter().any(|step| matches!(step, Step::Raced));
            let paused = steps.iter().any(|step| matches!(step, Step::Paused));
            for (n, step) in open.into_iter().zip(steps) {
                if let Step::Answer(answer) = step {
                    answers[n] = Some(answer);
                }
            }
            if raced {
                races += 1;
                mode = if races >= FREE_REPEATS { Mode::Gated } else { mode };
            }
            if raced || paused {
                let pause = pauses.next().unwrap_or(GATED_WAIT);
                if let Some(failure) = &last_failure {
                    answer_before(Instant::now() + pause + ANSWER_TIME, group, &mut answers, failure, &doubt);
                }
                if answers.iter().any(Option::is_none) {
                    sleep(pause).await;
                }
            }
        }
    }

    /// One round: facts, decision, and what was decided written.
    async fn round(
        &self,
        requests: &[AppendRequest],
        mode: Mode,
        doubt: &mut Doubt,
    ) -> std::result::Result<Vec<Step>, Trouble> {
        let deadline = last_deadline(requests);
        let mut lease = self.pool.lease(deadline).await.map_err(Trouble::unreached)?;
        let gated = mode == Mode::Gated;
        let (wait, begun) = match mode {
            Mode::Gated => (GATED_WAIT, lease.begin(&self.statements.lock_gate, deadline).await),
            Mode::Sharing => (SHARED_WAIT, Ok(())),
            Mode::Patient => (PATIENT_WAIT, Ok(())),
        };
        let steps = match begun {
            Ok(()) => self.decide(&mut lease, requests, wait, deadline, doubt).await,
            Err(failure) => Err(Trouble::unreached(failure)),
        };
        let steps = match steps {
            Ok(steps) if gated => {
                lease.commit(deadline).await.map(|()| steps).map_err(|failure| Trouble::of(&lease, failure))?
            }
            Ok(steps) => steps,
            Err(trouble) if gated => {
                lease.roll_back(deadline).await;
                return Err(trouble);
            }
            Err(trouble) => return Err(trouble),
        };
        if steps.iter().any(|step| matches!(step, Step::Turning)) && !planted("postgres-refusal-too-early") {
            // A refusal that could turn counts only when nobody can turn it any more; then everything is looked at
            // again.
            self.end_all(&mut lease, &mut doubt.running, deadline).await.map_err(Trouble::unreached)?;
        }
        Ok(steps)
    }

    async fn decide(
        &self,
        lease: &mut Lease,
        requests: &[AppendRequest],
        wait: Duration,
        deadline: Instant,
        doubt: &mut Doubt,
    ) -> std::result::Result<Vec<Step>, Trouble> {
        let streams: Vec<&str> = requests.iter().map(|request| request.stream.as_str()).collect();
        let ids: Vec<Uuid> = requests.iter().flat_map(|request| request.events.iter().map(|event| event.id)).collect();
        let pending = doubt.may_run();
        let facts = self.facts(lease, &streams, &ids, deadline).await.map_err(Trouble::unreached)?;
        doubt.looked(!pending);
        point("postgres-between-facts-and-insert").await;
        let decisions = decide_appends(requests, &facts);
        let writes = requests.iter().zip(&decisions).filter(|(_, decision)| matches!(decision, Decision::Write { .. }));
        let heads =
            writes.map(|(request, _)| (request, bigint(facts.heads.get(&request.stream).copied().unwrap_or(0))));
        let batch = Batch::new(heads);
        let taken = if batch.is_empty() {
            Taken::new()
        } else {
            self.insert(lease, &batch, wait, deadline).await.map_err(|failure| Trouble::of(lease, failure))?
        };
        let repeated = decisions.iter().any(|decision| matches!(decision, Decision::Repeated(_)));
        if repeated && taken.iter().all(Option::is_none) {
            doubt.found();
            self.confirm(lease, deadline).await?;
            doubt.looked(!pending);
        }
        let mut taken = taken.into_iter();
        let step = |(request, decision): (&AppendRequest, Decision)| match decision {
            Decision::Write { .. } => taken.next().flatten().map_or(Step::Raced, |appended| Step::Answer(Ok(appended))),
            Decision::Repeated(appended) => Step::Answer(Ok(appended)),
            Decision::Refuse(error)
                if pending && may_turn(request, &error) && !planted("postgres-refusal-too-early") =>
            {
                Step::Turning
            }
            Decision::Refuse(error) => Step::Answer(Err(error)),
            Decision::Again => Step::Again,
        };
        Ok(requests.iter().zip(decisions).map(step).collect())
    }

    /// Commits once more, so that what facts have shown is as durable as what an append writes: after a crash of the
    /// server a standby may not have it yet.
    pub(super) async fn confirm(&self, lease: &mut Lease, deadline: Instant) -> std::result::Result<(), Trouble> {
        let confirmed = lease.fetch(sqlx::query(self.statements.confirm.clone()), deadline).await;
        confirmed.map(drop).map_err(|failure| Trouble::of(lease, failure))
    }

    /// Which of the ids are known, with what they hold, and where the streams stand: one statement, one snapshot.
    pub(super) async fn facts(
        &self,
        lease: &mut Lease,
        streams: &[&str],
        ids: &[Uuid],
        deadline: Instant,
    ) -> std::result::Result<Facts, Failure> {
        let streams: Vec<&str> = streams.iter().copied().collect::<HashSet<_>>().into_iter().collect();
        let query = sqlx::query(self.statements.facts.clone()).bind(streams).bind(ids);
        read_facts(&lease.fetch(query, deadline).await?)
    }

    /// Ends earlier attempts, or waits until they have ended, so that what is seen from now on stays.
    pub(super) async fn end_all(
        &self,
        lease: &mut Lease,
        pending: &mut Vec<Backend>,
        deadline: Instant,
    ) -> std::result::Result<(), Failure> {
        while let Some(backend) = pending.last() {
            let end = sqlx::query(self.statements.end.clone()).bind(backend.pid).bind(&backend.started);
            match lease.fetch(end, deadline).await {
                // Not allowed to: then it is outwaited.
                Ok(_) | Err(Failure::Refused { .. }) => {}
                Err(failure) => return Err(failure),
            }
            while self.lives(lease, backend, deadline).await? {
                sleep(LOOK).await;
            }
            pending.pop();
        }
        point("postgres-attempts-ended").await;
        Ok(())
    }

    async fn lives(
        &self,
        lease: &mut Lease,
        backend: &Backend,
        deadline: Instant,
    ) -> std::result::Result<bool, Failure> {
        let look = sqlx::query(self.statements.ended.clone()).bind(backend.pid).bind(&backend.started);
        let rows = lease.fetch(look, deadline).await?;
        Ok(rows.first().map(|row| row.try_get::<i64, _>(0)).transpose()?.is_none_or(|count| count > 0))
    }
}

/// What a round that failed as a whole means for its appends.
fn troubled(requests: &[AppendRequest], trouble: &Trouble, doubt: &mut Doubt) -> Vec<Step> {
    doubt.note(trouble);
    let answer = || Step::Answer(Err(doubt.error(trouble.failure.clone())));
    let step = |request: &AppendRequest| match trouble.failure.class() {
        Class::Unknown if matches!(trouble.failure, Failure::Late) => answer(),
        Class::Final => answer(),
        Class::HeldUp if request.deadline.saturating_duration_since(Instant::now()) <= ANSWER_TIME => answer(),
        Class::Race => Step::Raced,
        Class::HeldUp | Class::Again | Class::Unknown | Class::Unreached => Step::Paused,
    };
    requests.iter().map(step).collect()
}

/// Whether appends are better off each by itself: one of them is refused for its values, or only some meet a lock. Not
/// while an earlier attempt at them may run.
fn apart(failure: &Failure, requests: &[AppendRequest], doubt: &Doubt) -> bool {
    let alone = requests.len() == 1 || !doubt.is_none();
    !alone && matches!(failure, Failure::Refused { .. }) && matches!(failure.class(), Class::HeldUp | Class::Final)
}

fn answer_late(group: &[AppendRequest], answers: &mut [Option<Result<AppendResult>>], doubt: &Doubt) {
    answer_before(Instant::now(), group, answers, &Failure::Late, doubt);
}

/// Answers those whose deadline comes before a time: the next attempt would begin too late for them.
fn answer_before(
    time: Instant,
    group: &[AppendRequest],
    answers: &mut [Option<Result<AppendResult>>],
    failure: &Failure,
    doubt: &Doubt,
) {
    for (request, answer) in group.iter().zip(answers) {
        if answer.is_none() && request.deadline <= time {
            *answer = Some(Err(doubt.error(failure.clone())));
        }
    }
}

/// Reads the facts' rows: a row without a position is a head.
pub(super) fn read_facts(rows: &[sqlx::postgres::PgRow]) -> std::result::Result<Facts, Failure> {
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

/// How repeats are spaced: soon at first, with jitter, so that rivals do not meet again.
pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(2))
        .with_max_delay(Duration::from_millis(500))
        .without_max_times()
        .with_jitter()
        .build()
}
