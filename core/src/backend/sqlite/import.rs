//! Imports: whole or not at all, ids and versions first.

use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::Sqlite;
use super::append::may_be_applied;
use super::error::Failure;
use super::pool::within;
use super::row::{NewRow, now_micros, to_micros};
use super::write::{abandon, begin, known, write_and_commit};
use crate::backend::{ImportRequest, Imported};
use crate::decision::{ImportDecision, decide_import};
use crate::error::{Error, Outcome, Result};

impl Sqlite {
    /// Writes an import whole or not at all; see the trait.
    pub(super) async fn import_events(&self, request: &ImportRequest) -> Result<Imported> {
        let mut doubt = false;
        loop {
            let mut sent = false;
            let failure = match self.attempt_import(request, &mut sent).await {
                Ok(answer) => return answer,
                Err(failure) => failure,
            };
            doubt |= sent && may_be_applied(&failure);
            if !self.worth_a_retry(&failure, request.deadline).await {
                return Err(Error::from(failure).with_outcome(if doubt { Outcome::Unknown } else { Outcome::NotApplied }));
            }
        }
    }

    async fn attempt_import(&self, request: &ImportRequest, sent: &mut bool) -> std::result::Result<Result<Imported>, Failure> {
        let mut lease = self.writer.lease(request.deadline).await?;
        let answer = within(request.deadline, self.import_together(&mut lease.connection, request, sent)).await;
        lease.settle(answer)
    }

    async fn import_together(
        &self,
        connection: &mut SqliteConnection,
        request: &ImportRequest,
        sent: &mut bool,
    ) -> std::result::Result<Result<Imported>, Failure> {
        let streams = request.events.iter().map(|import| import.stream.as_str()).collect();
        let ids: Vec<Uuid> = request.events.iter().map(|import| import.event.id).collect();
        let (drawn, mut facts) = begin(connection, &self.sql, streams).await?;
        facts.known = known(connection, &self.sql, &ids).await?;
        let decisions = match decide_import(&request.events, &facts) {
            Ok(decisions) => decisions,
            Err(refusal) => {
                abandon(connection).await?;
                return Ok(Err(refusal));
            }
        };
        let (now, mut rows) = (now_micros(), Vec::new());
        let mut answer = Imported { imported: 0, passed_over: 0, position: 0 };
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
        write_and_commit(connection, &self.sql, &rows, sent).await?;
        Ok(Ok(answer))
    }
}
