//! The SQLite backend: one file in WAL mode with `synchronous=FULL`, which several processes may share.
//!
//! A namespace has three tables, `streamkeep_<namespace>_events`, `_tags` and `_snapshots`. Other tools may read them,
//! but only from another process, because two copies of SQLite in one process damage the file.
//!
//! All namespaces of a file share its connections. One connection writes, and each of its transactions starts with the
//! write lock. A transaction draws its positions and commits them under this lock, and no row is ever deleted, so
//! positions become visible in their order, whichever process writes.

mod append;
mod candidates;
mod connect;
mod diagnose;
mod error;
mod file;
mod filter;
#[cfg(unix)]
mod fork;
mod format;
mod identity;
mod import;
mod inherited;
mod joint;
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

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use self::file::SqliteFile;
use self::format::LastFormat;
use self::identity::file_id;
use self::sql::Sql;
use super::{DatabaseBackend, EventBackend, Gathering, NamespaceBackends, SnapshotBackend};
use crate::diagnosis::Diagnosis;
use crate::error::{Error, Result};
use crate::options::{Durability, OpenOptions};
use crate::request::{
    AppendRequest, AppendResult, ImportRequest, ImportResult, LogPage, LogPageRequest, SnapshotRecord, StreamPage,
    StreamPageRequest,
};

/// Callers that append in a loop are back after a few yields. More were tried and gained nothing.
const GATHERING: Gathering = Gathering { yields: 32, pause: Duration::ZERO };

/// The key of a file in the registry of open databases. It identifies the file itself, so that all paths to it share
/// one database.
///
/// If the file does not exist and `create` is set, this creates an empty file, because only an existing file has an
/// identity.
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
                return Err(Error::config(format!("the SQLite file cannot be created: {error}"))
                    .with_cause(error)
                    .with_hint("check that its folder exists and that this program may write there"));
            }
        }
    } else if !file.exists() {
        return Err(Error::config("the SQLite file does not exist, and create is false"));
    }
    Ok(match file_id(&file) {
        Some((device, inode)) => format!("sqlite:{device}:{inode}"),
        None => format!("sqlite:{}", file.display()),
    })
}

/// Opens a file. `location` is the part of the URL after `sqlite:`.
#[allow(clippy::unused_async, reason = "the other backends' `open` is async too")]
pub(crate) async fn open(
    location: &str,
    options: &OpenOptions,
    _deadline: Instant,
) -> Result<Arc<dyn DatabaseBackend>> {
    let path = path::file(location)?;
    Ok(Arc::new(SqliteDatabase { path, max_connections: options.max_connections, file: Mutex::default() }))
}

/// A SQLite file. It is opened together with its first namespace.
#[derive(Debug)]
struct SqliteDatabase {
    path: PathBuf,
    max_connections: u32,
    file: Mutex<Option<Arc<SqliteFile>>>,
}

impl SqliteDatabase {
    /// The open file, with this namespace in it.
    async fn file_with(&self, namespace: &str, create: bool, deadline: Instant) -> Result<Arc<SqliteFile>> {
        let mut open = self.file.lock().await;
        let Some(file) = open.clone() else {
            let file = SqliteFile::open(&self.path, namespace, create, self.max_connections, deadline).await?;
            return Ok(Arc::clone(open.insert(Arc::new(file))));
        };
        drop(open);
        file.prepare(namespace, create, deadline).await?;
        Ok(file)
    }
}

#[async_trait]
impl DatabaseBackend for SqliteDatabase {
    async fn open_namespace(&self, name: &str, create: bool, deadline: Instant) -> Result<NamespaceBackends> {
        let file = self.file_with(name, create, deadline).await?;
        let sqlite = Arc::new(Sqlite { sql: Arc::new(Sql::new(name)), file, last_format: LastFormat::unknown() });
        Ok(NamespaceBackends { events: Arc::<Sqlite>::clone(&sqlite), snapshots: sqlite })
    }

    async fn close(&self) {
        if let Some(file) = self.file.lock().await.take() {
            file.close().await;
        }
    }
}

/// One namespace of one file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    sql: Arc<Sql>,
    file: Arc<SqliteFile>,
    last_format: LastFormat,
}

#[async_trait]
impl EventBackend for Sqlite {
    fn lanes(&self) -> usize {
        1
    }

    fn gathering(&self) -> Gathering {
        GATHERING
    }

    async fn append(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        let deadline = group.iter().map(|request| request.deadline).max().unwrap_or_else(Instant::now);
        match self.check_writer(deadline).await {
            Ok(()) => self.append_jointly(group).await,
            Err(error) => group.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn import(&self, request: &ImportRequest) -> Result<ImportResult> {
        self.check_writer(request.deadline).await?;
        self.import_events(request).await
    }

    async fn read_stream(&self, request: &StreamPageRequest) -> Result<StreamPage> {
        self.check_reader(request.deadline).await?;
        self.stream_page(request).await
    }

    async fn stream_version(&self, stream: &str, deadline: Instant) -> Result<u64> {
        self.version_of(stream, deadline).await
    }

    async fn event_id(&self, stream: &str, version: u64, deadline: Instant) -> Result<Option<Uuid>> {
        self.stored_id(stream, version, deadline).await
    }

    async fn read_log(&self, request: &LogPageRequest) -> Result<LogPage> {
        self.check_reader(request.deadline).await?;
        self.log_page(request).await
    }

    async fn head(&self, deadline: Instant) -> Result<u64> {
        self.check_reader(deadline).await?;
        self.last_position(deadline).await
    }

    async fn change_mark(&self, deadline: Instant) -> Result<u64> {
        self.last_position(deadline).await
    }

    async fn diagnose(&self, deadline: Instant) -> Result<Diagnosis> {
        self.read_diagnosis(deadline).await
    }

    /// Never ends: writes of other processes are found by polling.
    async fn hinted(&self) {
        std::future::pending().await
    }

    /// Nothing to close: the connections belong to the file.
    async fn close(&self) {}
}

#[async_trait]
impl SnapshotBackend for Sqlite {
    async fn save(&self, record: &SnapshotRecord, deadline: Instant) -> Result<()> {
        self.check_writer(deadline).await?;
        self.save_snapshot(record, deadline).await
    }

    async fn load(
        &self,
        stream: &str,
        schema: &str,
        at_or_before: u64,
        deadline: Instant,
    ) -> Result<Option<SnapshotRecord>> {
        self.check_reader(deadline).await?;
        self.load_snapshot(stream, schema, at_or_before, deadline).await
    }
}
