//! SQLite: the embedded default. One file, in WAL mode with `synchronous=FULL`, that several processes may share.
//!
//! A namespace is three tables, `streamkeep_<namespace>_events`, `_tags` and `_snapshots`, so that other tools find one
//! log in one place (from another process: two copies of SQLite in one process damage the file). One connection writes,
//! one transaction at a time, begun with the lock; positions are drawn and committed in one transaction, and no row is
//! ever deleted. So they become visible in their order, whichever process writes.

mod append;
mod candidates;
mod connect;
mod diagnose;
mod error;
mod filter;
#[cfg(unix)]
mod fork;
mod identity;
mod import;
mod inherited;
mod path;
mod pool;
mod read;
mod row;
mod schema;
mod snapshot;
mod sql;
#[cfg(test)]
mod tests;
mod write;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::time::{Instant, timeout_at};

use self::connect::{connect, connect_options};
use self::error::Failure;
use self::identity::{Identity, file_id};
use self::inherited::OpenFile;
use self::pool::Pool;
use self::sql::Sql;
use super::{DatabaseBackend, EventBackend, NamespaceBackends, SnapshotBackend};
use crate::diagnosis::Diagnosis;
use crate::error::{Error, Result};
use crate::options::{Durability, OpenOptions};
use crate::request::{
    AppendRequest, AppendResult, ImportRequest, ImportResult, LogPage, LogPageRequest, SnapshotRecord, StreamPage,
    StreamPageRequest,
};

/// The key of a file in the registry of open databases: the file itself, however its path is written.
///
/// Makes an empty file where there is none and `create` allows it, so that there is one to know.
pub(crate) fn database_key(location: &str, options: &OpenOptions) -> Result<String> {
    let file = path::file(location)?;
    if options.durability == Durability::Full {
        path::refuse_unsuitable(&file)?;
    }
    if options.create {
        match std::fs::OpenOptions::new().write(true).create_new(true).open(&file) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(Error::config(format!("the SQLite file cannot be opened: {error}"))
                    .with_cause(error)
                    .with_hint("does its folder exist, and may this program write there?"));
            }
        }
    } else if !file.exists() {
        return Err(Error::config("there is no such SQLite file, and create is false"));
    }
    Ok(match file_id(&file) {
        Some((device, inode)) => format!("sqlite:{device}:{inode}"),
        None => format!("sqlite:{}", file.display()),
    })
}

/// Opens a file: what follows `sqlite:` in the URL.
#[allow(clippy::unused_async, reason = "like the other backends")]
pub(crate) async fn open(
    location: &str,
    options: &OpenOptions,
    _deadline: Instant,
) -> Result<Arc<dyn DatabaseBackend>> {
    Ok(Arc::new(SqliteDatabase { location: location.to_owned(), options: options.clone() }))
}

/// Where a file is, and how to open it.
#[derive(Debug)]
struct SqliteDatabase {
    location: String,
    options: OpenOptions,
}

#[async_trait]
impl DatabaseBackend for SqliteDatabase {
    async fn open_namespace(&self, name: &str, create: bool, deadline: Instant) -> Result<NamespaceBackends> {
        let options = self.options.clone().namespace(name).create(create);
        open_namespace(&self.location, &options, deadline).await
    }

    async fn close(&self) {}
}

async fn open_namespace(location: &str, options: &OpenOptions, deadline: Instant) -> Result<NamespaceBackends> {
    let file = path::file(location)?;
    if options.durability == Durability::Full {
        path::refuse_unsuitable(&file)?;
    }
    if !options.create && !file.exists() {
        return Err(Error::config("there is no such SQLite file, and create is false"));
    }
    // Before SQLite looks at the file: in a forked child even that is too much. A file that does not exist yet nobody
    // has open.
    let held = file.exists().then(|| OpenFile::new(&file)).transpose()?;
    let options_of_connections = connect_options(&file);
    let mut connection = connect(&options_of_connections.clone().create_if_missing(options.create), deadline)
        .await
        .map_err(Failure::at_open)?;
    #[cfg(unix)]
    fork::prepare();
    let prepared = timeout_at(deadline, schema::prepare(&mut connection, &options.namespace, options.create)).await;
    prepared.map_err(|_| Error::from(Failure::late()))??;
    let held = held.map_or_else(|| OpenFile::new(&file), Ok)?;
    let identity = Arc::new(Identity::note(&file, &options_of_connections)?);
    let readers =
        usize::try_from(options.max_connections).map_or(1, |connections| connections.saturating_sub(1).max(1));
    let sqlite = Arc::new(Sqlite {
        sql: Sql::new(&options.namespace),
        writer: Pool::new(options_of_connections.clone(), Arc::clone(&identity), 1),
        readers: Pool::new(options_of_connections, Arc::clone(&identity), readers),
        identity,
        anchor: Mutex::new(Some(connection)),
        held: Mutex::new(Some(held)),
    });
    Ok(NamespaceBackends { events: Arc::<Sqlite>::clone(&sqlite), snapshots: sqlite })
}

/// One namespace of one file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    sql: Sql,
    writer: Pool,
    readers: Pool,
    identity: Arc<Identity>,
    /// A connection that only stays open, so that SQLite keeps the files beside the database until the store is closed.
    anchor: Mutex<Option<SqliteConnection>>,
    /// Given back when no connection is left.
    held: Mutex<Option<OpenFile>>,
}

#[async_trait]
impl EventBackend for Sqlite {
    fn lanes(&self) -> usize {
        1
    }

    fn gathering(&self) -> Duration {
        Duration::ZERO
    }

    async fn append(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        self.append_group(group).await
    }

    async fn import(&self, request: &ImportRequest) -> Result<ImportResult> {
        self.import_events(request).await
    }

    async fn read_stream(&self, request: &StreamPageRequest) -> Result<StreamPage> {
        self.stream_page(request).await
    }

    async fn read_log(&self, request: &LogPageRequest) -> Result<LogPage> {
        self.log_page(request).await
    }

    async fn head(&self, deadline: Instant) -> Result<u64> {
        self.last_position(deadline).await
    }

    async fn change_mark(&self, deadline: Instant) -> Result<u64> {
        self.last_position(deadline).await
    }

    async fn diagnose(&self, deadline: Instant) -> Result<Diagnosis> {
        self.read_diagnosis(deadline).await
    }

    /// Never: other processes are seen by asking.
    async fn hinted(&self) {
        std::future::pending().await
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        let anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut anchor) = anchor {
            // Best effort: what stays in the WAL is as safe there.
            let _ = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut anchor).await;
            let _ = anchor.close().await;
        }
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[async_trait]
impl SnapshotBackend for Sqlite {
    async fn save(&self, record: &SnapshotRecord, deadline: Instant) -> Result<()> {
        self.save_snapshot(record, deadline).await
    }

    async fn load(
        &self,
        stream: &str,
        schema: &str,
        at_or_before: u64,
        deadline: Instant,
    ) -> Result<Option<SnapshotRecord>> {
        self.load_snapshot(stream, schema, at_or_before, deadline).await
    }
}
