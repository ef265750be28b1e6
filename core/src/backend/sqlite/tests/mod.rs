//! Tests of this backend's internals. The behaviour suite tests the rules of the contract.

mod append;
mod faults;
mod joint;
mod open;
mod read;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use futures::future::join_all;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tokio::time::Instant;
use uuid::Uuid;

use super::Sqlite;
use super::append::Form;
use super::connect::{BUSY_SLICE, connect_options, within};
use super::error::FailureKind;
use super::file::SqliteFile;
use super::identity::Identity;
use super::pool::Pool;
use super::sql::Sql;
use crate::backend::EventBackend;
use crate::event::{Event, ImportEvent, Payload, RecordedEvent};
use crate::position::Direction;
use crate::query::{Query, QueryItem};
use crate::request::{AppendRequest, ImportRequest, LogPageRequest, StreamPageRequest};
use crate::version::ExpectedVersion;
use crate::{AppendOptions, ErrorKind, EventStore, OpenOptions, Outcome, ReadAllOptions};

/// A temporary folder, which is removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("streamkeep-{}", Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    fn file(&self) -> PathBuf {
        self.0.join("events.db")
    }

    /// A connection with the settings of another program.
    async fn connect(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.file()).create_if_missing(true).connect().await.unwrap()
    }

    /// The backend itself, on a file that a store has created.
    async fn backend(&self) -> Sqlite {
        EventStore::open(self.url()).await.unwrap().close().await.unwrap();
        let options = connect_options(&self.file());
        let mut anchor = options.connect().await.unwrap();
        run(&mut anchor, "SELECT count(*) FROM streamkeep_namespaces").await;
        let identity = Arc::new(Identity::record(&self.file(), &options).unwrap());
        let file = SqliteFile {
            writer: Pool::new(options.clone(), Arc::clone(&identity), 1),
            readers: Pool::new(options, Arc::clone(&identity), 1),
            identity,
            joint_writes: super::joint::writes(),
            anchor: std::sync::Mutex::new(Some(anchor)),
            open_file: std::sync::Mutex::new(None),
        };
        Sqlite {
            sql: Arc::new(Sql::new("default")),
            file: Arc::new(file),
            last_format: super::format::LastFormat::unknown(),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn request(stream: &str, expected: ExpectedVersion, events: Vec<Event>) -> AppendRequest {
    AppendRequest { stream: stream.to_owned(), expected, events: events.into(), deadline: soon() }
}

fn event() -> Event {
    Event::json_text("Happened", "{}")
}

async fn run(connection: &mut SqliteConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(connection).await.unwrap();
}

fn import(event: Event) -> ImportRequest {
    let event = ImportEvent { stream: "i-1".to_owned(), version: None, recorded_at: None, event };
    ImportRequest { events: vec![event].into(), deadline: soon() }
}
