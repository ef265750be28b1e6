//! SQLite: the embedded default. One file, in WAL mode with `synchronous=FULL`, that several processes may share.
//!
//! A namespace is three tables, `streamkeep_<namespace>_events`, `_tags` and `_snapshots`, so that other tools find one log in one place
//! (from another process: two copies of SQLite in one process damage the file). One connection writes, one transaction at a time, begun with the lock; positions
//! are drawn and committed in one transaction, and no row is ever deleted. So they become visible in their order, whichever process writes.

mod append;
mod error;
mod filter;
#[cfg(unix)]
mod fork;
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
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use tokio::time::{Instant, timeout_at};

use self::error::{Failure, FailureKind};
use self::inherited::OpenFile;
use self::pool::Pool;
use self::sql::Sql;
use super::{
    AppendRequest, Appended, EventBackend, ImportRequest, Imported, LogPage, LogPageRequest, Opened, SnapshotBackend, SnapshotRecord, StreamPage,
    StreamPageRequest,
};
use crate::error::{Error, Result};
use crate::store::{Durability, OpenOptions};

/// How long SQLite waits for a lock at a time. Short, because nothing can end that wait from outside.
const BUSY_SLICE: Duration = Duration::from_millis(100);
/// Rows on their way between the driver's thread and a reader.
const ROWS_UNDER_WAY: usize = 128;

/// Opens a file: what follows `sqlite:` in the URL.
pub(crate) async fn open(location: &str, options: &OpenOptions) -> Result<Opened> {
    let deadline = Instant::now() + options.timeout;
    let file = path::file(location)?;
    if options.durability == Durability::Full {
        path::refuse_unsuitable(&file)?;
    }
    if !options.create && !file.exists() {
        return Err(Error::config("there is no such SQLite file, and create is false"));
    }
    // Before SQLite looks at the file: in a forked child even that is too much. A file that does not exist yet nobody has open.
    let held = file.exists().then(|| OpenFile::new(&file)).transpose()?;
    let connect = connect_options().filename(&file).create_if_missing(options.create);
    let mut connection = pool::connect(&connect, deadline).await.map_err(not_opened)?;
    #[cfg(unix)]
    fork::prepare();
    let prepared = timeout_at(deadline, schema::prepare(&mut connection, &options.namespace, options.create)).await;
    prepared.map_err(|_| Error::from(Failure::late()))??;
    let held = held.map_or_else(|| OpenFile::new(&file), Ok)?;
    let connect = connect.create_if_missing(false);
    let writer = Pool::new(connect.clone(), 1);
    writer.adopt(connection);
    let readers = usize::try_from(options.max_connections).map_or(1, |connections| connections.saturating_sub(1).max(1));
    let sqlite = Arc::new(Sqlite { sql: Sql::new(&options.namespace), writer, readers: Pool::new(connect, readers), held: Mutex::new(Some(held)) });
    Ok(Opened {
        events: Arc::<Sqlite>::clone(&sqlite),
        snapshots: sqlite,
        #[cfg(feature = "postgres")]
        postgres: None,
    })
}

/// What every connection is set to. `fullfsync` matters on macOS alone; memory is never mapped, because processes share the file.
fn connect_options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_SLICE)
        .row_buffer_size(ROWS_UNDER_WAY)
        .foreign_keys(false)
        .pragma("fullfsync", "ON")
        .pragma("checkpoint_fullfsync", "ON")
        .pragma("mmap_size", "0")
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-16384")
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

fn not_opened(failure: Failure) -> Error {
    if failure.kind == FailureKind::CannotOpen {
        return Error::config("the SQLite file cannot be opened: does its folder exist, and may this program write there?");
    }
    failure.into()
}

/// One namespace of one file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    sql: Sql,
    writer: Pool,
    readers: Pool,
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

    async fn append(&self, group: &[AppendRequest]) -> Vec<Result<Appended>> {
        self.append_group(group).await
    }

    async fn import(&self, request: &ImportRequest) -> Result<Imported> {
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

    /// Never: other processes are seen by asking.
    async fn hinted(&self) {
        std::future::pending().await
    }

    async fn close(&self) {
        self.readers.close().await;
        if let Ok(mut lease) = self.writer.lease(Instant::now() + BUSY_SLICE).await {
            // Best effort: what stays in the WAL is as safe there.
            let _ = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut lease.connection).await;
            lease.give_back();
        }
        self.writer.close().await;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[async_trait]
impl SnapshotBackend for Sqlite {
    async fn save(&self, record: &SnapshotRecord, deadline: Instant) -> Result<()> {
        self.save_snapshot(record, deadline).await
    }

    async fn load(&self, stream: &str, schema: &str, at_or_before: u64, deadline: Instant) -> Result<Option<SnapshotRecord>> {
        self.load_snapshot(stream, schema, at_or_before, deadline).await
    }
}
