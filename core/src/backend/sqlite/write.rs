//! The steps of a write transaction: begin and read the facts, insert the rows, commit.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::error::{Failure, FailureKind};
use super::row::{NewRow, bind_row, bound, fetch, json_list, number};
use super::sql::Sql;
use crate::decision::{Facts, KnownEvent};
use crate::faults::planted;
use crate::limits::PAGE_EVENTS;

/// Waits for the write lock, begins a transaction, and reads the last drawn position and the streams' versions.
///
/// It waits until the caller drops it at the deadline. The caller then closes the connection, which leaves nothing
/// behind.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    sql: &Sql,
    mut names: Vec<&str>,
) -> Result<(u64, Facts), Failure> {
    names.sort_unstable();
    names.dedup();
    let names = json_list(&names)?;
    let rows = loop {
        match sql.query(sql.begin()).bind(names.as_str()).fetch_all(&mut *connection).await.map_err(Failure::from) {
            Err(failure) if failure.kind == FailureKind::Busy => {}
            answer => break answer?,
        }
    };
    let mut facts = Facts::default();
    let mut drawn = 0;
    for row in &rows {
        match row.try_get::<Option<String>, _>(0)? {
            Some(stream) => {
                facts.heads.insert(stream, number(row, 1)?);
            }
            None => drawn = number(row, 1)?,
        }
    }
    Ok((drawn, facts))
}

/// Looks up which ids are known, with their events.
pub(super) async fn known(
    connection: &mut SqliteConnection,
    sql: &Sql,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, KnownEvent>, Failure> {
    let mut known = HashMap::new();
    for ids in ids.chunks(PAGE_EVENTS) {
        let ids: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
        let statement = sql.query(&sql.by_id).bind(json_list(&ids)?).bind(i64::MAX);
        let found = fetch(connection, sql, statement, usize::MAX, usize::MAX).await?;
        known.extend(found.rows.into_iter().map(|row| {
            let content = row.event.map(Box::new);
            (row.id, KnownEvent { stream: row.stream, version: row.version, position: row.position, content })
        }));
    }
    Ok(known)
}

/// How a transaction without rows to write ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It commits, because it answers that events are stored. Their first attempt may have died after its commit became
    /// visible and before it was synced. The sync of this commit covers the first one too.
    Repeats,
    /// It rolls back, because it answers no event as stored.
    Nothing,
}

/// Writes rows, in the order of their positions, and commits.
///
/// `sent` is set before the commit is sent. After that, a failure may leave the rows written, unless SQLite refused
/// them.
pub(super) async fn write_and_commit(
    connection: &mut SqliteConnection,
    sql: &Sql,
    rows: &[NewRow<'_>],
    end: End,
    sent: &mut bool,
) -> Result<(), Failure> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return match end {
            End::Repeats => confirm(connection, sql, sent).await,
            End::Nothing => roll_back(connection).await,
        };
    };
    let tagged = rows.iter().any(|row| !row.event.tags.is_empty());
    let mut left = rows;
    while !left.is_empty() {
        let insert = sql.insert(left.len()).ok_or_else(Failure::bug)?;
        let (now, later) = left.split_at(insert.rows.min(left.len()));
        left = later;
        let commits = left.is_empty() && !tagged && !planted("sqlite-ack-before-commit");
        let mut statement = sql.query(if commits { &insert.and_commit } else { &insert.text });
        for row in now {
            statement = bind_row(statement, row)?;
        }
        *sent |= commits;
        statement.execute(&mut *connection).await?;
    }
    if tagged {
        *sent = true;
        sql.query(&sql.tag_and_commit)
            .bind(bound(first.position))
            .bind(bound(last.position))
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Commits and syncs without writing any events.
async fn confirm(connection: &mut SqliteConnection, sql: &Sql, sent: &mut bool) -> Result<(), Failure> {
    *sent = true;
    sql.query(&sql.touch_and_commit).execute(connection).await?;
    Ok(())
}

/// Ends a transaction that writes nothing.
pub(super) async fn roll_back(connection: &mut SqliteConnection) -> Result<(), Failure> {
    sqlx::query("ROLLBACK").execute(connection).await?;
    Ok(())
}
