//! Appending: a group in one transaction, each append its own answer.

use std::collections::HashSet;

use mongodb::ClientSession;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::Mongo;
use super::document::Place;
use super::error::{Class, Failure, unknown};
use super::transaction::{Row, Stage, Trouble, Turn, Writer, pauses};
use crate::backend::{AppendRequest, Appended};
use crate::decision::{Decision, decide_appends};
use crate::error::{Error, Result};
use crate::faults::{planted, point};

/// The answers of a group, in its order; nothing where an append must be decided once more.
type Answers = Vec<Option<Result<Appended>>>;

impl Mongo {
    /// Answers every append of a group; see the trait.
    pub(super) async fn append_group(&self, group: &[AppendRequest]) -> Vec<Result<Appended>> {
        let mut answers: Answers = group.iter().map(|_| None).collect();
        let mut pauses = pauses();
        loop {
            answer_late(group, &mut answers);
            let open: Vec<usize> = (0..group.len()).filter(|n| answers[*n].is_none()).collect();
            let requests: Vec<AppendRequest> = open.iter().map(|n| group[*n].clone()).collect();
            let Some(deadline) = requests.iter().map(|request| request.deadline).max() else {
                return answers.into_iter().flatten().collect();
            };
            match self.attempt(requests, deadline).await {
                Ok(decided) => open.into_iter().zip(decided).for_each(|(n, answer)| answers[n] = answer),
                Err(Trouble::Unknown(failure)) => open.into_iter().for_each(|n| answers[n] = Some(Err(unknown(failure.clone())))),
                Err(Trouble::Undone(failure)) => match failure.class() {
                    // Nothing of it stands; the deadline is looked at before the next try.
                    Class::Again | Class::Unknown | Class::Unreached => sleep(pauses.next().unwrap_or_default()).await,
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
    async fn attempt(&self, requests: Vec<AppendRequest>, deadline: Instant) -> std::result::Result<Answers, Trouble> {
        let (writer, stage) = (self.writer.clone(), Stage::default());
        let task_stage = stage.clone();
        let work = self.work.run(deadline, |mut session| async move {
            let answers = append(&writer, &mut session, &requests, &task_stage, deadline).await;
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
    stage: &Stage,
    deadline: Instant,
) -> std::result::Result<Answers, Trouble> {
    match decide_and_write(writer, session, requests, deadline).await {
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
    deadline: Instant,
) -> std::result::Result<Answers, Failure> {
    let positions = requests.iter().map(|request| request.events.len() as u64).sum();
    let turn = writer.begin(session, positions, deadline).await?;
    point("mongodb-in-transaction").await;
    let streams: HashSet<&str> = requests.iter().map(|request| request.stream.as_str()).collect();
    let streams: Vec<&str> = streams.into_iter().collect();
    let ids: Vec<Uuid> = requests.iter().flat_map(|request| request.events.iter().map(|event| event.id)).collect();
    let facts = writer.facts(session, &streams, &ids, deadline).await?;
    let (rows, answers) = place(requests, decide_appends(requests, &facts), turn);
    writer.write(session, turn, &rows, positions).await?;
    Ok(answers)
}

/// Gives what is to be written its positions, and every append its answer.
fn place(requests: &[AppendRequest], decisions: Vec<Decision>, turn: Turn) -> (Vec<Row<'_>>, Answers) {
    let mut rows: Vec<Row<'_>> = Vec::new();
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
