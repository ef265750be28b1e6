//! Appending: a group in one transaction, each append its own answer.

use std::collections::HashMap;

use mongodb::ClientSession;
use tokio::time::Instant;
use uuid::Uuid;

use super::Mongo;
use super::abandoned::Waits;
use super::document::Place;
use super::error::{Class, Failure, unknown};
use super::heads::Turn;
use super::transaction::{Row, Stage, Trouble, Writer};
use crate::backend::{AppendRequest, Appended};
use crate::decision::{Decision, Facts, decide_appends};
use crate::error::{Error, Result};
use crate::faults::{planted, point};

/// The answers of a group, in its order; nothing where an append must be decided once more.
type Answers = Vec<Option<Result<Appended>>>;

/// When ids are looked up. What succeeds needs no look: a unique index holds every id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    WhenNeeded,
    First,
}

impl Mongo {
    /// Answers every append of a group; see the trait.
    pub(super) async fn append_group(&self, group: &[AppendRequest]) -> Vec<Result<Appended>> {
        let mut answers: Answers = group.iter().map(|_| None).collect();
        let (mut waits, mut look) = (Waits::new(), Look::WhenNeeded);
        loop {
            answer_late(group, &mut answers);
            let open: Vec<usize> = (0..group.len()).filter(|n| answers[*n].is_none()).collect();
            let requests: Vec<AppendRequest> = open.iter().map(|n| group[*n].clone()).collect();
            let Some(deadline) = requests.iter().map(|request| request.deadline).max() else {
                return answers.into_iter().flatten().collect();
            };
            match self.attempt(requests, look, deadline).await {
                Ok(decided) => open.into_iter().zip(decided).for_each(|(n, answer)| answers[n] = answer),
                Err(Trouble::Unknown(failure)) => open.into_iter().for_each(|n| answers[n] = Some(Err(unknown(failure.clone())))),
                // An id is known: now they are looked at before anything is written.
                Err(Trouble::Undone(failure)) if failure.is_duplicate() && look == Look::WhenNeeded => look = Look::First,
                Err(Trouble::Undone(failure)) => match failure.class() {
                    // Nothing of it stands; the deadline is looked at before the next try.
                    Class::Again | Class::Unknown | Class::Unreached => waits.pause(&self.work, &self.writer, &failure, deadline).await,
                    // Somebody's value: each for itself, so that it is refused alone.
                    Class::Final if open.len() > 1 && matches!(failure, Failure::Refused { .. }) => {
                        for n in open {
                            answers[n] = Box::pin(self.append_group(&group[n..=n])).await.pop();
                        }
                    }
                    Class::Final => open.into_iter().for_each(|n| answers[n] = Some(Err(failure.clone().into()))),
                },
            }
        }
    }

    /// One transaction.
    async fn attempt(&self, requests: Vec<AppendRequest>, look: Look, deadline: Instant) -> std::result::Result<Answers, Trouble> {
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
            // Not even begun, or its end was not waited for.
            Err(failure) if !matches!(failure, Failure::Late | Failure::Bug(_)) || stage.give_up() => Err(Trouble::Undone(failure)),
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
            // What only looked is committed too: that proves that what it saw will stay.
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
    // Before a refusal is answered, and once an id has turned out to be known.
    if look == Look::First || (refused && !planted("mongodb-refuses-unlooked")) {
        let ids: Vec<Uuid> = requests.iter().flat_map(|request| request.events.iter().map(|event| event.id)).collect();
        facts.known = writer.known(session, &ids, deadline).await?;
        decisions = decide_appends(requests, &facts);
    }
    let (rows, answers) = place(requests, decisions, &turn);
    writer.write(session, &turn, &rows, deadline).await?;
    Ok(answers)
}

/// Gives what is to be written its positions, and every append its answer.
fn place<'a>(requests: &'a [AppendRequest], decisions: Vec<Decision>, turn: &Turn) -> (Vec<Row<'a>>, Answers) {
    let mut rows: Vec<Row<'a>> = Vec::new();
    let mut answers: Answers = Vec::with_capacity(requests.len());
    for (request, decision) in requests.iter().zip(decisions) {
        answers.push(match decision {
            Decision::Repeated(appended) => Some(Ok(appended)),
            Decision::Refuse(error) => Some(Err(error)),
            Decision::Again => None,
            Decision::Write { first_version } => {
                let mut last = Appended { version: 0, position: 0, repeated: false };
                for (version, event) in (first_version..).zip(request.events.iter()) {
                    let position = turn.head + rows.len() as u64 + 1;
                    last = Appended { version, position, repeated: false };
                    rows.push(Row { event, place: Place { stream: &request.stream, version, position, recorded_at: turn.now } });
                }
                Some(Ok(last))
            }
        });
    }
    (rows, answers)
}

/// What was not done in time will not be: every earlier try is known to be over.
fn answer_late(group: &[AppendRequest], answers: &mut Answers) {
    let now = Instant::now();
    for (request, answer) in group.iter().zip(answers) {
        if answer.is_none() && request.deadline <= now {
            *answer = Some(Err(Error::from(Failure::Late)));
        }
    }
}
