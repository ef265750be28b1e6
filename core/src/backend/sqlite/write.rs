//! The steps of a write transaction: begin and read the facts, insert the rows, commit.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::error::{Failure, FailureKind};
use super::row::{Bound, NewRow, bind_row, bound, fetch, json_list, number};
use super::sql::{EVENT_WIDTH, Sql};
use crate::decision::{Facts, KnownEvent};
use crate::faults::planted;
use crate::limits::PAGE_EVENTS;

/// The texts for up to this many namespaces are prepared once and kept. There are too many different ones for more.
const PREPARED_NAMESPACES: usize = 4;

/// Waits for the write lock, begins a transaction, and reads the last drawn position and the streams' versions of each
/// namespace.
///
/// It waits until the caller drops it at the deadline. The caller then closes the connection, which leaves nothing
/// behind.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    namespaces: &[(&Sql, Vec<&str>)],
) -> Result<Vec<(u64, Facts)>, Failure> {
    let (Some((first, _)), others) = (namespaces.first(), namespaces.iter().enumerate().skip(1)) else {
        return Ok(Vec::new());
    };
    let others: String = others.map(|(number, (sql, _))| format!("; {}", sql.facts(number))).collect();
    let text = if others.is_empty() { Arc::clone(first.begin()) } else { format!("{}{others}", first.begin()).into() };
    let names = namespaces.iter().map(|(_, names)| {
        let mut names = names.clone();
        names.sort_unstable();
        names.dedup();
        json_list(&names)
    });
    let names: Vec<String> = names.collect::<Result<_, _>>()?;
    let rows = loop {
        let statement = first.query(&text).persistent(namespaces.len() <= PREPARED_NAMESPACES);
        let statement = names.iter().fold(statement, |statement, names| statement.bind(names.clone()));
        match statement.fetch_all(&mut *connection).await.map_err(Failure::from) {
            Err(failure) if failure.kind == FailureKind::Busy => {}
            answer => break answer?,
        }
    };
    let mut all: Vec<(u64, Facts)> = namespaces.iter().map(|_| (0, Facts::default())).collect();
    for row in &rows {
        let place = usize::try_from(number(row, 0)?).map_err(|_| Failure::bug())?;
        let (drawn, facts) = all.get_mut(place).ok_or_else(Failure::bug)?;
        match row.try_get::<Option<String>, _>(1)? {
            Some(stream) => {
                facts.heads.insert(stream, number(row, 2)?);
            }
            None => *drawn = number(row, 2)?,
        }
    }
    Ok(all)
}

/// The same for one namespace.
pub(super) async fn begin_one(
    connection: &mut SqliteConnection,
    sql: &Sql,
    names: Vec<&str>,
) -> Result<(u64, Facts), Failure> {
    begin(connection, &[(sql, names)]).await?.pop().ok_or_else(Failure::bug)
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

/// The inserts of a few namespaces have the same size up to this one, so that few different texts are prepared. A row of
/// padding costs a quarter of a real one.
const PADDED_ROWS: usize = 32;

/// How a transaction without rows to write ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It commits, because it answers that events are stored. Their first attempt may have died after its commit became
    /// visible and before it was synced. The sync of this commit covers the first one too.
    Repeats,
    /// It rolls back, because it answers no event as stored.
    Nothing,
}

/// Writes the rows of each namespace, in the order of their positions, and commits: all as one text.
///
/// `sent` is set before the text is sent. After that, a failure may leave the rows written, unless SQLite refused them.
pub(super) async fn write_and_commit(
    connection: &mut SqliteConnection,
    namespaces: &[(&Sql, &[NewRow<'_>])],
    end: End,
    sent: &mut bool,
) -> Result<(), Failure> {
    let Some((sql, _)) = namespaces.iter().find(|(_, rows)| !rows.is_empty()) else {
        return match (end, namespaces.first()) {
            (End::Repeats, Some((sql, _))) => confirm(connection, sql, sent).await,
            _ => roll_back(connection).await,
        };
    };
    let longest = || namespaces.iter().map(|(_, rows)| rows.len()).max().unwrap_or_default();
    let least = if (2..=PREPARED_NAMESPACES).contains(&namespaces.len()) { longest().min(PADDED_ROWS) } else { 0 };
    let mut text = String::new();
    let mut steps = Vec::new();
    for (sql, rows) in namespaces {
        let mut left = *rows;
        while !left.is_empty() {
            let insert = sql.insert(left.len().max(least)).ok_or_else(Failure::bug)?;
            let (now, later) = left.split_at(insert.rows.min(left.len()));
            left = later;
            text.extend([&*insert.text, "; "]);
            steps.push(Step::Insert(now, insert.rows));
        }
        if let (Some(first), Some(last), true) = (rows.first(), rows.last(), is_tagged(rows)) {
            text.extend([&*sql.tag, "; "]);
            steps.push(Step::Tag(first.position, last.position));
        }
    }
    if !planted("sqlite-ack-before-commit") {
        text.push_str("COMMIT");
    }
    let mut statement = sql.query(&text.into()).persistent(namespaces.len() <= PREPARED_NAMESPACES);
    for step in steps {
        statement = step.bind(statement)?;
    }
    *sent = true;
    statement.execute(connection).await?;
    Ok(())
}

fn is_tagged(rows: &[NewRow<'_>]) -> bool {
    rows.iter().any(|row| !row.event.tags.is_empty())
}

/// A statement of a write.
enum Step<'a> {
    /// Inserts rows, by an insert of this many.
    Insert(&'a [NewRow<'a>], usize),
    /// Inserts the tags of the events between two positions.
    Tag(u64, u64),
}

impl Step<'_> {
    /// Binds the arguments. Rows that are missing are bound as NULLs, because other statements follow.
    fn bind(self, mut statement: Bound) -> Result<Bound, Failure> {
        match self {
            Self::Tag(first, last) => Ok(statement.bind(bound(first)).bind(bound(last))),
            Self::Insert(rows, size) => {
                for row in rows {
                    statement = bind_row(statement, row)?;
                }
                for _ in 0..(size - rows.len()) * EVENT_WIDTH {
                    statement = statement.bind(None::<i64>);
                }
                Ok(statement)
            }
        }
    }
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
