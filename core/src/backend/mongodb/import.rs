//! Imports events, whole or not at all, in a transaction like that of an append.

use std::collections::HashMap;

use mongodb::ClientSession;
use tokio::time::Instant;
use uuid::Uuid;

use super::Mongo;
use super::abandoned::Waits;
use super::document::{Place, micros};
use super::error::{Class, Failure};
use super::heads::Turn;
use super::transaction::{Stage, Trouble};
use super::writer::{Row, Writer};
use crate::decision::{Facts, ImportDecision, decide_import};
use crate::error::{Error, Outcome, Result};
use crate::faults::point;
use crate::request::{ImportRequest, ImportResult};

impl Mongo {
    /// Makes attempts until the import is done or refused.
    pub(super) async fn import_events(&self, request: &ImportRequest) -> Result<ImportResult> {
        let (mut waits, mut in_doubt) = (Waits::new(), false);
        loop {
            let trouble = match self.import_once(request).await {
                Ok(answer) => return answer,
                Err(trouble) => trouble,
            };
            in_doubt |= matches!(trouble, Trouble::Unknown(_));
            let (failure, pause) = (trouble.failure(), waits.next());
            let told = |error: Error| if in_doubt { error.with_outcome(Outcome::Unknown) } else { error };
            if failure.class() == Class::Final {
                return Err(told(failure.into()));
            }
            if Instant::now() + pause >= request.deadline {
                return Err(told(Error::late(Some(failure.into()))));
            }
            waits.pause(pause, &self.work, &self.writer.names, &failure, request.deadline).await;
        }
    }

    async fn import_once(&self, request: &ImportRequest) -> std::result::Result<Result<ImportResult>, Trouble> {
        self.before_writing(request.deadline).await.map_err(Trouble::Undone)?;
        let (writer, stage, request) = (self.writer.clone(), Stage::default(), request.clone());
        let task_stage = stage.clone();
        let work = self.work.run(request.deadline, |mut session| async move {
            let answer = import(&writer, &mut session, &request, &task_stage).await;
            Ok((answer, session))
        });
        match work.await {
            Ok((answer, session)) => {
                self.work.wrote(&session);
                answer
            }
            Err(failure) if !matches!(failure, Failure::Late | Failure::Bug(_)) || stage.give_up() => {
                Err(Trouble::Undone(failure))
            }
            Err(failure) => Err(Trouble::Unknown(failure)),
        }
    }
}

async fn import(
    writer: &Writer,
    session: &mut ClientSession,
    request: &ImportRequest,
    stage: &Stage,
) -> std::result::Result<Result<ImportResult>, Trouble> {
    let _present = writer.writers.enter(&writer.names, session).await.map_err(Trouble::Undone)?;
    match decide_and_write(writer, session, request).await {
        Ok(answer) => {
            writer.commit(session, stage, request.deadline).await?;
            point("mongodb-import-after-commit").await;
            Ok(answer)
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
    request: &ImportRequest,
) -> std::result::Result<Result<ImportResult>, Failure> {
    // The versions of the events are known only after the heads were read, so no version is reserved.
    let growth: HashMap<&str, u64> = request.events.iter().map(|import| (import.stream.as_str(), 0)).collect();
    let turn = writer.begin(session, &growth, request.events.len() as u64, request.deadline).await?;
    point("mongodb-in-import").await;
    let ids: Vec<Uuid> = request.events.iter().map(|import| import.event.id).collect();
    let facts = Facts { heads: turn.versions(), known: writer.known(session, &ids, request.deadline).await? };
    let (rows, answer) = match decide_import(&request.events, &facts) {
        Ok(decisions) => place(request, &decisions, &turn),
        Err(refusal) => (Vec::new(), Err(refusal)),
    };
    writer.write(session, &turn, &rows, request.deadline).await?;
    Ok(answer)
}

fn place<'a>(
    request: &'a ImportRequest,
    decisions: &[ImportDecision],
    turn: &Turn,
) -> (Vec<Row<'a>>, Result<ImportResult>) {
    let mut rows: Vec<Row<'a>> = Vec::new();
    let mut answer = ImportResult { imported: 0, passed_over: 0, position: 0 };
    for (import, decision) in request.events.iter().zip(decisions) {
        answer.position = match decision {
            ImportDecision::PassOver { position } => {
                answer.passed_over += 1;
                *position
            }
            ImportDecision::Write { version } => {
                answer.imported += 1;
                let position = turn.head + answer.imported;
                let recorded_at = import.recorded_at.map_or(turn.now, micros);
                rows.push(Row {
                    event: &import.event,
                    place: Place { stream: &import.stream, version: *version, position, recorded_at },
                });
                position
            }
        };
    }
    (rows, Ok(answer))
}
