//! Imports events that were recorded elsewhere, all of them or none. It reads the ids and versions first.

use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::Sqlite;
use super::append::{may_be_applied, outcome};
use super::connect::within;
use super::error::Failure;
use super::row::{NewRow, now_micros, to_micros};
use super::write::{End, begin_one, known, roll_back, write_and_commit};
use crate::decision::{ImportDecision, decide_import};
use crate::error::{Error, Result};
use crate::faults::point;
use crate::request::{ImportRequest, ImportResult};

/// How far an attempt got.
#[derive(Debug, Default)]
struct Progress {
    /// Whether its commit was sent.
    sent: bool,
    /// Whether all events turned out to be stored already.
    repeats: bool,
}

impl Progress {
    /// Whether the events may be stored although the attempt failed. Events that were found may not be synced yet, and
    /// they are stored whatever refuses the commit that confirms them.
    fn in_doubt(&self, failure: &Failure) -> bool {
        self.repeats || (self.sent && may_be_applied(failure))
    }
}

impl Sqlite {
    /// Imports all events or none; see the trait.
    pub(super) async fn import_events(&self, request: &ImportRequest) -> Result<ImportResult> {
        let mut doubt = false;
        loop {
            let mut progress = Progress::default();
            let failure = match self.attempt_import(request, &mut progress).await {
                Ok(answer) => return answer,
                Err(failure) => failure,
            };
            doubt |= progress.in_doubt(&failure);
            if !self.worth_a_retry(&failure, request.deadline).await {
                return Err(Error::from(failure).with_outcome(outcome(doubt)));
            }
        }
    }

    async fn attempt_import(
        &self,
        request: &ImportRequest,
        progress: &mut Progress,
    ) -> std::result::Result<Result<ImportResult>, Failure> {
        let mut lease = self.file.writer.lease(request.deadline).await?;
        let answer = within(request.deadline, self.import_together(&mut lease.connection, request, progress)).await;
        let answer = lease.settle(answer)?;
        self.file.identity.check(request.deadline).await?;
        Ok(answer)
    }

    async fn import_together(
        &self,
        connection: &mut SqliteConnection,
        request: &ImportRequest,
        progress: &mut Progress,
    ) -> std::result::Result<Result<ImportResult>, Failure> {
        let streams = request.events.iter().map(|import| import.stream.as_str()).collect();
        let ids: Vec<Uuid> = request.events.iter().map(|import| import.event.id).collect();
        let (drawn, mut facts) = begin_one(connection, &self.sql, streams).await?;
        self.file.identity.check(request.deadline).await?;
        point("sqlite-in-import").await;
        facts.known = known(connection, &self.sql, &ids).await?;
        let decisions = match decide_import(&request.events, &facts) {
            Ok(decisions) => decisions,
            Err(refusal) => {
                roll_back(connection).await?;
                return Ok(Err(refusal));
            }
        };
        let (now, mut rows) = (now_micros(), Vec::new());
        let mut answer = ImportResult { imported: 0, passed_over: 0, position: 0 };
        for (import, decision) in request.events.iter().zip(decisions) {
            answer.position = match decision {
                ImportDecision::Write { version } => {
                    answer.imported += 1;
                    let position = drawn + answer.imported;
                    let recorded_at = import.recorded_at.map_or(now, to_micros);
                    rows.push(NewRow { position, stream: &import.stream, version, recorded_at, event: &import.event });
                    position
                }
                ImportDecision::PassOver { position } => {
                    answer.passed_over += 1;
                    position
                }
            };
        }
        progress.repeats = rows.is_empty() && answer.passed_over > 0;
        let end = if answer.passed_over > 0 { End::Repeats } else { End::Nothing };
        write_and_commit(connection, &[(&self.sql, &rows)], end, &mut progress.sent).await?;
        Ok(Ok(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::FailureKind;
    use super::*;

    #[test]
    fn events_that_were_found_stay_in_doubt_whatever_the_failure() {
        // SQLite has rolled back after a full disk.
        let full = Failure::of_kind(FailureKind::Full);
        let attempt = |sent, repeats| Progress { sent, repeats }.in_doubt(&full);
        assert_eq!([attempt(false, false), attempt(true, false), attempt(true, true)], [false, false, true]);
        let late = Failure::late();
        let attempt = |sent, repeats| Progress { sent, repeats }.in_doubt(&late);
        assert_eq!([attempt(false, false), attempt(true, false), attempt(false, true)], [false, true, true]);
    }
}
