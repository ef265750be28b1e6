//! Checks a file when a store opens it, and creates what is missing.
//!
//! A file belongs to Streamkeep alone, which its `application_id` tells. Its registry has a row for each namespace: the
//! format, and the oldest library formats that may read and write it.

use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Row};
use tokio::time::sleep;

use super::error::{Failure, FailureKind, at_open};
use super::format::{self, FORMAT, MIN_READER, MIN_WRITER};
use super::sql::APPLICATION_ID;
use crate::error::{Error, Result};
use crate::id::new_id;

/// Older versions can corrupt a WAL that several connections reset at the same time.
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];
/// The pause between attempts to set WAL mode: SQLite itself does not wait for the lock that this needs.
const JOURNAL_RETRY: Duration = Duration::from_millis(10);

const MIGRATION_1: &str = include_str!("migrations/0001_namespace.sql");
const REGISTRY: &str = "CREATE TABLE IF NOT EXISTS streamkeep_namespaces (
    name TEXT PRIMARY KEY,
    epoch TEXT NOT NULL,
    format INTEGER NOT NULL,
    min_reader INTEGER NOT NULL,
    min_writer INTEGER NOT NULL
) STRICT";

/// The state of a file before anything is changed.
#[derive(Debug)]
struct State {
    application: i64,
    tables: i64,
    registry: bool,
    wal: bool,
}

/// Makes sure that the file has the namespace, in a format that this library can read. Without `create` it only checks.
///
/// Several stores may do this at the same time: everything is created in one transaction, which takes the write lock
/// first and then checks again.
pub(super) async fn prepare(connection: &mut SqliteConnection, namespace: &str, create: bool) -> Result<()> {
    if is_prepared(connection, namespace).await? {
        return Ok(());
    }
    if !create {
        return Err(missing(namespace));
    }
    use_wal(connection).await?;
    begin(connection).await?;
    let created = create_missing(connection, namespace).await;
    let end = if created.is_ok() { "COMMIT" } else { "ROLLBACK" };
    sqlx::query(end).execute(connection).await.map_err(at_open)?;
    created
}

/// Whether nothing is missing. Refuses a file and a namespace that this library cannot use.
pub(super) async fn is_prepared(connection: &mut SqliteConnection, namespace: &str) -> Result<bool> {
    refuse_old_library(connection).await?;
    let state = look(connection).await?;
    refuse_foreign(&state)?;
    Ok(state.registry && registered(connection, namespace).await? && state.wal)
}

pub(super) fn missing(namespace: &str) -> Error {
    Error::config(format!("the SQLite file has no namespace '{namespace}', and create is false"))
}

async fn refuse_old_library(connection: &mut SqliteConnection) -> Result<()> {
    let version: String = one(connection, "SELECT sqlite_version()").await?;
    let numbers: Vec<u32> = version.split('.').map_while(|number| number.parse().ok()).collect();
    if numbers.as_slice() < OLDEST_SQLITE.as_slice() {
        return Err(Error::config(format!(
            "this program is linked with SQLite {version}, which can damage its WAL; the store needs 3.51.3 or later"
        )));
    }
    Ok(())
}

async fn look(connection: &mut SqliteConnection) -> Result<State> {
    const LOOK: &str = "SELECT (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema), \
        (SELECT count(*) FROM sqlite_schema WHERE name = 'streamkeep_namespaces'), (SELECT journal_mode FROM pragma_journal_mode)";
    let rows = fetch_waiting(connection, LOOK).await?;
    let row = rows.first().ok_or_else(Failure::bug)?;
    let number = |column: usize| row.try_get::<i64, _>(column).map_err(Failure::from);
    let mode: String = row.try_get(3).map_err(at_open)?;
    Ok(State { application: number(0)?, tables: number(1)?, registry: number(2)? > 0, wal: mode == "wal" })
}

/// Refuses a file with another program's tables. Other code in this process may use it through another copy of SQLite,
/// and two copies damage a file.
fn refuse_foreign(state: &State) -> Result<()> {
    let fresh = state.application == 0 && (state.tables == 0 || state.registry);
    if fresh || state.application == APPLICATION_ID {
        return Ok(());
    }
    Err(Error::config("the SQLite file belongs to another program: give the store a file of its own"))
}

/// Whether the namespace exists. Refuses one that this library is too old to read.
async fn registered(connection: &mut SqliteConnection, namespace: &str) -> Result<bool> {
    let format = format::registered(connection, namespace).await.map_err(Failure::at_open)?;
    format.map(|format| format.check_reader(FORMAT)).transpose().map_err(Error::config)?;
    Ok(format.is_some())
}

async fn use_wal(connection: &mut SqliteConnection) -> Result<()> {
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL").fetch_all(&mut *connection).await.map_err(Failure::from) {
            Err(failure) if failure.kind == FailureKind::Busy => sleep(JOURNAL_RETRY).await,
            Err(failure) => return Err(failure.at_open()),
            Ok(rows) => {
                let mode: String = rows.first().ok_or_else(Failure::bug)?.try_get(0).map_err(at_open)?;
                return if mode == "wal" {
                    Ok(())
                } else {
                    Err(Error::config("SQLite cannot keep a write-ahead log on the file system of this file"))
                };
            }
        }
    }
}

async fn begin(connection: &mut SqliteConnection) -> Result<()> {
    fetch_waiting(connection, "BEGIN IMMEDIATE").await?;
    Ok(())
}

async fn create_missing(connection: &mut SqliteConnection, namespace: &str) -> Result<()> {
    let state = look(connection).await?;
    refuse_foreign(&state)?;
    run(connection, format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; {REGISTRY}"))
        .await?;
    if registered(connection, namespace).await? {
        return Ok(());
    }
    run(connection, MIGRATION_1.replace("{ns}", namespace)).await?;
    let register = sqlx::query(
        "INSERT INTO streamkeep_namespaces (name, epoch, format, min_reader, min_writer) VALUES (?, ?, ?, ?, ?)",
    );
    let register =
        register.bind(namespace.to_owned()).bind(new_id().to_string()).bind(FORMAT).bind(MIN_READER).bind(MIN_WRITER);
    register.execute(connection).await.map_err(at_open)?;
    Ok(())
}

async fn run(connection: &mut SqliteConnection, text: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await.map_err(at_open)?;
    Ok(())
}

async fn one(connection: &mut SqliteConnection, text: &'static str) -> Result<String> {
    let rows = fetch_waiting(connection, text).await?;
    rows.first().ok_or_else(Failure::bug)?.try_get(0).map_err(at_open)
}

/// Runs a statement, and waits while another connection holds the lock. The caller ends the wait at the deadline.
async fn fetch_waiting(connection: &mut SqliteConnection, text: &'static str) -> Result<Vec<sqlx::sqlite::SqliteRow>> {
    loop {
        match sqlx::query(text).fetch_all(&mut *connection).await.map_err(Failure::from) {
            Err(failure) if failure.kind == FailureKind::Busy => {}
            answer => return answer.map_err(Failure::at_open),
        }
    }
}
