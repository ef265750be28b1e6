//! The rules of the contract as cases. Each file registers its own; `rules.md` names the rule of each case.

mod append;
mod cancel;
mod close;
mod deadline;
mod diagnose;
mod durability;
mod errors;
mod file;
mod group;
mod import;
mod log;
mod mongodb;
mod names;
mod open;
mod pooler;
mod postgres;
mod query;
mod race;
mod read;
mod repeat;
mod same_file;
mod secrets;
mod snapshot;
mod standby;
mod subscribe;

use std::future::Future;

use futures::TryStreamExt;
use futures::future::join_all;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use streamkeep::{Error, Event, EventStore, ExpectedVersion, RecordedEvent, Result};

use crate::suite::Case;

/// Every case of this folder.
#[must_use]
pub fn cases() -> Vec<Case> {
    [
        append::cases(),
        cancel::cases(),
        close::cases(),
        deadline::cases(),
        diagnose::cases(),
        durability::cases(),
        errors::cases(),
        file::cases(),
        group::cases(),
        import::cases(),
        log::cases(),
        mongodb::cases(),
        names::cases(),
        open::cases(),
        pooler::cases(),
        postgres::cases(),
        query::cases(),
        race::cases(),
        read::cases(),
        repeat::cases(),
        same_file::cases(),
        secrets::cases(),
        snapshot::cases(),
        standby::cases(),
        subscribe::cases(),
    ]
    .concat()
}

/// An event whose data is a number or another JSON text.
fn event(data: impl std::fmt::Display) -> Event {
    Event::json_text("E", data.to_string())
}

fn events(count: u64) -> Vec<Event> {
    (1..=count).map(event).collect()
}

/// Appends without an expectation; the append must commit.
async fn append(store: &EventStore, stream: &str, events: impl IntoIterator<Item = Event>) -> streamkeep::AppendResult {
    let events: Vec<Event> = events.into_iter().collect();
    store.append(stream, events, ExpectedVersion::Any).await.expect("the append commits")
}

async fn stream(store: &EventStore, stream: &str) -> Vec<RecordedEvent> {
    store.read(stream, 1..).try_collect().await.expect("the stream is read")
}

async fn log(store: &EventStore) -> Vec<RecordedEvent> {
    store.read_all(Default::default()).try_collect().await.expect("the log is read")
}

fn versions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.version).collect()
}

fn data(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().filter_map(|event| event.data.as_json()).collect()
}

/// The error of a call that must fail.
fn refused<T: std::fmt::Debug>(answer: Result<T>) -> Error {
    answer.expect_err("the call is refused")
}

/// Runs futures as separate tasks, which all start before any is awaited.
async fn all_at_once<T: Send + 'static>(
    work: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = work.into_iter().map(tokio::spawn).collect();
    join_all(tasks).await.into_iter().map(|task| task.expect("the task ends")).collect()
}

/// Saves a snapshot of the stream `s` at a version and loads it, which needs only the id of the event.
async fn snapshot_at(store: &EventStore, version: u64) {
    let data = streamkeep::Payload::Json("1".to_owned());
    let snapshot = streamkeep::Snapshot { stream: "s".to_owned(), version, schema: "fold/1".to_owned(), data };
    store.save_snapshot(snapshot.clone()).await.expect("the snapshot is saved");
    let loaded = store.load_snapshot("s", "fold/1", None).await.expect("the snapshot is loaded");
    assert_eq!(loaded, Some(snapshot));
}

/// An administrator's session on Postgres.
struct Sql(PgConnection);

impl Sql {
    async fn connect(url: &str) -> Self {
        Self(PgConnection::connect(url).await.expect("the session connects"))
    }

    async fn run(&mut self, sql: &str) {
        self.try_run(sql).await.expect("the statement succeeds");
    }

    async fn try_run(&mut self, sql: &str) -> std::result::Result<(), String> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.0).await;
        done.map(drop).map_err(|error| error.to_string())
    }

    /// The first column of the first row, as text.
    async fn value(&mut self, sql: &str) -> String {
        let row = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&mut self.0)
            .await
            .expect("the statement returns a row");
        row.try_get_unchecked(0).expect("the column is text")
    }
}
