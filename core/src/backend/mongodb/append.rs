//! Appends a group in one transaction. Each append has its own answer.

use std::collections::HashMap;
use std::time::Duration;

use mongodb::ClientSession;
use tokio::time::Instant;
use uuid::Uuid;

use super::Mongo;
use super::abandoned::Waits;
use super::document::Place;
use super::error::{Class, Failure};
use super::heads::Turn;
use super::transaction::{Stage, Trouble};
use super::writer::{Row, Writer};
use crate::decision::{Decision, Facts, decide_appends};
use crate::error::{Error, Outcome, Result};
use crate::faults::{planted, point};
use crate::request::{AppendRequest, AppendResult};

/// The answers of a group, in its order; `None` for an append that must be decided again.
type Answers = Vec<Option<Result<AppendResult>>>;

/// When ids are looked up. An append that succeeds needs no look, because a unique index holds every id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    WhenNeeded,
    First,
}

/// An append that cannot be done before its deadline is answered at most this long before it. Otherwise the caller
/// would stop waiting first and learn less than is known.
const TIME_TO_ANSWER: Duration = Duration::from_millis(100);

/// The time by which an append must be answered: a tenth of the remaining time before its deadline.
fn time_to_answer(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline - (left / 10).min(TIME_TO_ANSWER)
}

/// A group of appends, with the answers so far.
struct Group<'a> {
    requests: &'a [AppendRequest],
    /// When each must be answered, a little before its deadline.
    answer_by: Vec<Instant>,
    answers: Answers,
    /// Which appends an earlier attempt may have written. Only a later transaction that reads their ids and commits
    /// resolves that.
    in_doubt: Vec<bool>,
    /// The failure of the last attempt.
    cause: Option<Failure>,
}

impl<'a> Group<'a> {
    fn new(requests: &'a [AppendRequest], in_doubt: Vec<bool>) -> Self {
        let answer_by = requests.iter().map(|request| time_to_answer(request.deadline)).collect();
        Self { requests, answer_by, answers: requests.iter().map(|_| None).collect(), in_doubt, cause: None }
    }

    fn open(&self) -> Vec<usize> {
        (0..self.requests.len()).filter(|n| self.answers[*n].is_none()).collect()
    }

    fn fail(&mut self, n: usize, error: Error) {
        let doubt = self.in_doubt[n] && !planted("mongodb-forgets-doubt");
        self.answers[n] = Some(Err(if doubt { error.with_outcome(Outcome::Unknown) } else { error }));
    }

    /// Answers the appends that cannot be attempted again before their deadline, with the last failure as the cause.
    fn answer_late(&mut self, next_attempt: Instant) {
        for n in self.open() {
            if self.answer_by[n] <= next_attempt {
                self.fail(n, Error::late(self.cause.clone().map(Error::from)));
            }
        }
    }
}

impl Mongo {
    /// Answers every append of a group; see the trait.
    pub(super) async fn append_group(&self, requests: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        self.append_in_doubt(requests, vec![false; requests.len()]).await
    }

    async fn append_in_doubt(&self, requests: &[AppendRequest], in_doubt: Vec<bool>) -> Vec<Result<AppendResult>> {
        let mut group = Group::new(requests, in_doubt);
        let (mut waits, mut look) = (Waits::new(), Look::WhenNeeded);
        group.answer_late(Instant::now());
        loop {
            let open = group.open();
            let attempted: Vec<AppendRequest> = open.iter().map(|n| requests[*n].clone()).collect();
            let Some(deadline) = open.iter().map(|n| group.answer_by[*n]).max() else {
                return group.answers.into_iter().flatten().collect();
            };
            let trouble = match self.attempt(attempted, look, deadline).await {
                Ok(decided) => {
                    open.into_iter().zip(decided).for_each(|(n, answer)| group.answers[n] = answer);
                    group.answer_late(Instant::now());
                    continue;
                }
                Err(trouble) => trouble,
            };
            if let Trouble::Unknown(_) = trouble {
                open.iter().for_each(|n| group.in_doubt[*n] = true);
            }
            let failure = trouble.failure();
            if failure.is_duplicate() && look == Look::WhenNeeded {
                // An id is known. The next attempt looks the ids up before it writes.
                look = Look::First;
                group.answer_late(Instant::now());
                continue;
            }
            if !matches!(failure, Failure::Late) {
                group.cause = Some(failure.clone());
            }
            match failure.class() {
                Class::Again | Class::Unknown | Class::Unreached => {
                    let pause = waits.next();
                    group.answer_late(Instant::now() + pause);
                    if !group.open().is_empty() {
                        waits.pause(pause, &self.work, &self.writer.names, &failure, deadline).await;
                    }
                }
                // The server refuses a value of one append. Each is sent by itself, so that only that one is refused.
                Class::Final if open.len() > 1 && matches!(failure, Failure::Refused { .. }) => {
                    for n in open {
                        let alone = self.append_in_doubt(&requests[n..=n], vec![group.in_doubt[n]]);
                        group.answers[n] = Box::pin(alone).await.pop();
                    }
                }
                Class::Final => open.into_iter().for_each(|n| group.fail(n, failure.clone().into())),
            }
        }
    }

    /// Makes one attempt, in one transaction.
    async fn attempt(
        &self,
        requests: Vec<AppendRequest>,
        look: Look,
        deadline: Instant,
    ) -> std::result::Result<Answers, Trouble> {
        self.before_writing(deadline).await.map_err(Trouble::Undone)?;
        let (writer, stage) = (self.writer.clone(), Stage::default());
        let task_stage = stage.clone();
        let work = self.work.run(deadline, |mut session| async move {
            let answers = append(&writer, &mut session, &requests, look, &task_stage, deadline).await;
            Ok((answers, session))
        });
        match work.await {
            Ok((Ok(answers), session)) => {
                self.work.wrote(&session);
                Ok(answers)
            }
            Ok((Err(trouble), _)) => Err(trouble),
            // The transaction did not begin, or will not be committed.
            Err(failure) if !matches!(failure, Failure::Late | Failure::Bug(_)) || stage.give_up() => {
                Err(Trouble::Undone(failure))
            }
            Err(failure) => Err(Trouble::Unknown(failure)),
        }
    }
}

async fn append(
    writer: &Writer,
    session: &mut ClientSession,
    requests: &[AppendRequest],
    look: Look,
    stage: &Stage,
    deadline: Instant,
) -> std::result::Result<Answers, Trouble> {
    let _present = writer.writers.enter(&writer.names, session).await.map_err(Trouble::Undone)?;
    match decide_and_write(writer, session, requests, look, deadline).await {
        Ok(answers) if planted("mongodb-ack-before-commit") => {
            let answers = Ok(answers);
            writer.abort(session).await;
            answers
        }
        Ok(answers) => {
            // A transaction that wrote nothing is committed too: that proves that what it read is durable.
            writer.commit(session, stage, deadline).await?;
            point("mongodb-after-commit").await;
            Ok(answers)
        }
        Err(failure) => {
            writer.abort(session).await;
            Err(Trouble::Undone(failure))
        }
    }
}

async fn decide_and_write(
    writer: &Writer,
    session: &mut ClientSession,
    requests: &[AppendRequest],
    look: Look,
    deadline: Instant,
) -> std::result::Result<Answers, Failure> {
    let mut growth: HashMap<&str, u64> = HashMap::new();
    for request in requests {
        *growth.entry(&request.stream).or_default() += request.events.len() as u64;
    }
    let turn = writer.begin(session, &growth, growth.values().sum(), deadline).await?;
    point("mongodb-in-transaction").await;
    let mut facts = Facts { heads: turn.versions(), known: HashMap::new() };
    let mut decisions = decide_appends(requests, &facts);
    let refused = decisions.iter().any(|decision| !matches!(decision, Decision::Write { .. }));
    // Looked up before an append is refused, and after an index has reported a known id.
    if look == Look::First || (refused && !planted("mongodb-refuses-unlooked")) {
        let ids: Vec<Uuid> = requests.iter().flat_map(|request| request.events.iter().map(|event| event.id)).collect();
        facts.known = writer.known(session, &ids, deadline).await?;
        decisions = decide_appends(requests, &facts);
    }
    let (rows, answers) = place(requests, decisions, &turn);
    writer.write(session, &turn, &rows, deadline).await?;
    Ok(answers)
}

/// Assigns positions to the events to write, and makes the answer of each append.
fn place<'a>(requests: &'a [AppendRequest], decisions: Vec<Decision>, turn: &Turn) -> (Vec<Row<'a>>, Answers) {
    let mut rows: Vec<Row<'a>> = Vec::new();
    let mut answers: Answers = Vec::with_capacity(requests.len());
    for (request, decision) in requests.iter().zip(decisions) {
        answers.push(match decision {
            Decision::Repeated(appended) => Some(Ok(appended)),
            Decision::Refuse(error) => Some(Err(error)),
            Decision::Again => None,
            Decision::Write { first_version } => {
                let mut last = AppendResult { version: 0, position: 0, repeated: false };
                for (version, event) in (first_version..).zip(request.events.iter()) {
                    let position = turn.head + rows.len() as u64 + 1;
                    last = AppendResult { version, position, repeated: false };
                    rows.push(Row {
                        event,
                        place: Place { stream: &request.stream, version, position, recorded_at: turn.now },
                    });
                }
                Some(Ok(last))
            }
        });
    }
    (rows, answers)
}
