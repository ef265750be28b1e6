//! Appends inside the caller's own transaction.

use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row, SqlStr};
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::Postgres;
use super::error::{Class, Failure};
use super::facts::{pauses, read_facts};
use super::format::{self, check_writer};
use super::row::{Rows, bigint, written};
use crate::decision::{Decision, KnownEvent, decide_appends};
use crate::error::{Error, Outcome, Result};
use crate::event::Event;
use crate::format::Format;
use crate::request::AppendRequest;
use crate::version::ExpectedVersion;

impl Postgres {
    /// Appends to one stream inside the caller's transaction, and returns the versions of the events. It returns no
    /// positions, because they count only after the commit.
    ///
    /// Readers of the log stop below the transaction's events until it ends. A refusal leaves the transaction usable,
    /// as it was before.
    pub(crate) async fn append_in(
        &self,
        transaction: &mut sqlx::Transaction<'_, sqlx::Postgres>,
        stream: &str,
        expected: ExpectedVersion,
        events: Arc<[Event]>,
        deadline: Instant,
    ) -> Result<Vec<u64>> {
        let request = AppendRequest { stream: stream.to_owned(), expected, events, deadline };
        match timeout_at(deadline, self.append_within(transaction, &request)).await {
            Ok(answer) => answer,
            Err(_) => {
                Err(Error::unavailable("the deadline passed: roll the transaction back").with_outcome(Outcome::Unknown))
            }
        }
    }

    async fn append_within(&self, connection: &mut PgConnection, request: &AppendRequest) -> Result<Vec<u64>> {
        let floor = self.announce_within(connection).await?;
        let ids: Vec<Uuid> = request.events.iter().map(|event| event.id).collect();
        let mut pauses = pauses();
        loop {
            let facts = sqlx::query(self.statements.facts.clone()).bind(vec![request.stream.as_str()]).bind(&ids);
            let facts = read_facts(&self.fetch(connection, facts).await?)?;
            match decide_appends(std::slice::from_ref(request), &facts).pop() {
                Some(Decision::Repeated(_)) => return Ok(versions(&ids, &facts.known)),
                Some(Decision::Refuse(error)) => return Err(error),
                Some(Decision::Write { first_version }) => {
                    match self.insert_within(connection, request, first_version, &floor).await {
                        Ok(true) => return Ok((first_version..).take(request.events.len()).collect()),
                        Ok(false) => sleep(pauses.next().unwrap_or_default()).await,
                        Err(failure) => return Err(failure.into()),
                    }
                }
                Some(Decision::Again) | None => return Err(Error::internal("a single append was not decided")),
            }
        }
    }

    /// Announces once in each transaction, and returns the announced floor. Refuses a transaction in which this store
    /// may not append.
    async fn announce_within(&self, connection: &mut PgConnection) -> Result<String> {
        let rows = self.fetch(connection, sqlx::query(self.statements.announce.clone())).await?;
        let row = rows.first().ok_or_else(|| Failure::Unreadable("an announcement".to_owned()))?;
        let announced = Announced::read(row).map_err(Failure::from)?;
        let refused = |reason: String| Err(Error::invalid_argument("transaction", reason));
        if announced.isolation != "read committed" {
            return refused(format!(
                "append_in needs a READ COMMITTED transaction, but this one is {}",
                announced.isolation
            ));
        }
        let Some(format) = announced.format else {
            return refused("the transaction is on another database than the store".to_owned());
        };
        check_writer(format)?;
        Ok(announced.floor.to_string())
    }

    /// Inserts after a savepoint. Returns false if another writer was first; then the insert is undone.
    async fn insert_within(
        &self,
        connection: &mut PgConnection,
        request: &AppendRequest,
        first_version: u64,
        floor: &str,
    ) -> std::result::Result<bool, Failure> {
        let mut rows = Rows::default();
        for (place, event) in (1..).zip(request.events.iter()) {
            rows.push(&request.stream, place, bigint(first_version - 1), event, None);
        }
        let statement =
            if rows.has_tags() { &self.statements.append_within_tagged } else { &self.statements.append_within };
        run(connection, "savepoint streamkeep_append").await?;
        let inserted =
            self.fetch(connection, rows.bind(statement, floor.to_owned())).await.and_then(|answer| written(&answer));
        let whole = matches!(&inserted, Ok(written) if written.len() == rows.len());
        if whole {
            run(connection, "release savepoint streamkeep_append").await?;
            return Ok(true);
        }
        run(connection, "rollback to savepoint streamkeep_append; release savepoint streamkeep_append").await?;
        match inserted {
            Ok(_) => Ok(false),
            Err(failure) if failure.class() == Class::Race => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn fetch(
        &self,
        connection: &mut PgConnection,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> std::result::Result<Vec<PgRow>, Failure> {
        Ok(query.persistent(self.statements.persistent).fetch_all(connection).await?)
    }
}

/// The answer to the announcement, which also describes the transaction.
struct Announced {
    isolation: String,
    floor: i64,
    /// `None` if the transaction's database does not have the namespace that the store opened.
    format: Option<Format>,
}

impl Announced {
    fn read(row: &PgRow) -> std::result::Result<Self, sqlx::Error> {
        let same: Option<bool> = row.try_get(2)?;
        let format = match same {
            Some(true) => Some(format::read(row, 3)?),
            _ => None,
        };
        Ok(Self { isolation: row.try_get(0)?, floor: row.try_get(1)?, format })
    }
}

fn versions(ids: &[Uuid], known: &std::collections::HashMap<Uuid, KnownEvent>) -> Vec<u64> {
    ids.iter().filter_map(|id| known.get(id)).map(|event| event.version).collect()
}

async fn run(connection: &mut PgConnection, sql: &'static str) -> std::result::Result<(), Failure> {
    sqlx::raw_sql(SqlStr::from_static(sql)).execute(connection).await?;
    Ok(())
}
