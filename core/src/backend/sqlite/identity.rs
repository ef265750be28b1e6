//! Checks that the file at the path is still the open file.
//!
//! If a program removes or replaces an open SQLite file, SQLite goes on writing to the old file, which no path leads
//! to. Those events are lost when it is closed. So the store compares the files at the path with those it opened:
//! before an append, while it holds the write lock, and before it acknowledges.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};
use tokio::time::Instant;

use super::connect::{connect, within};
use super::error::Failure;

/// Identifies a file whatever its path: device and inode.
pub(super) type FileId = (u64, u64);

/// The file at a path; `None` if there is none, or if the system has no inodes.
pub(super) fn file_id(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().and_then(|found| id_of(&found))
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "other systems have no inodes")]
fn id_of(found: &std::fs::Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    Some((found.dev(), found.ino()))
}

/// Systems without inodes do not let an open file be removed.
#[cfg(not(unix))]
fn id_of(_found: &std::fs::Metadata) -> Option<FileId> {
    None
}

/// The files that a store has open. [`Self::check`] compares them with the files at their paths.
///
/// The `-wal` and `-shm` files stay while this process has a connection open, because SQLite removes them only with the
/// last one.
#[derive(Debug)]
pub(super) struct Identity {
    options: SqliteConnectOptions,
    /// The database, its `-wal` and its `-shm`.
    files: [(PathBuf, Option<FileId>); 3],
    /// The database file's length at the last check.
    length: AtomicU64,
}

impl Identity {
    /// Records the files of a database. A connection to it must be open and must have read from it, so that all files
    /// exist.
    pub(super) fn record(path: &Path, options: &SqliteConnectOptions) -> Result<Self, Failure> {
        let beside = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let mut files = [path.to_owned(), beside("-wal"), beside("-shm")].map(|path| (path, None));
        for (path, id) in &mut files {
            *id = id_of(&metadata(path)?);
        }
        let length = AtomicU64::new(metadata(path)?.len());
        Ok(Self { options: options.clone(), files, length })
    }

    /// Fails if one of the files was removed, replaced or truncated since it was opened.
    pub(super) async fn check(&self, deadline: Instant) -> Result<(), Failure> {
        let mut length = None;
        for (path, id) in &self.files {
            let found = metadata(path)?;
            if id_of(&found) != *id {
                return Err(Failure::removed(None));
            }
            length.get_or_insert(found.len());
        }
        let length = length.unwrap_or_default();
        if length < self.length.load(Ordering::Relaxed) {
            self.check_content(length, deadline).await?;
        }
        self.length.store(length, Ordering::Relaxed);
        Ok(())
    }

    /// Checks the content of a file that became shorter. It may be truncated, or another program ran `VACUUM`.
    async fn check_content(&self, length: u64, deadline: Instant) -> Result<(), Failure> {
        // SQLite itself would treat an empty file as a new database, and remove its WAL.
        if length == 0 {
            return Err(Failure::removed(None));
        }
        let mut connection = connect(&self.options, deadline).await?;
        let complete = within(deadline, is_complete(&mut connection, length)).await;
        // An error does no harm: the connection has only read.
        let _ = connection.close().await;
        if complete? { Ok(()) } else { Err(Failure::removed(None)) }
    }
}

/// Whether a file of this length, with its WAL, holds a complete database. Cheap unless the end of the database is in
/// the WAL.
async fn is_complete(connection: &mut SqliteConnection, length: u64) -> Result<bool, Failure> {
    const SIZE: &str = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let rows = sqlx::query(SIZE).fetch_all(&mut *connection).await?;
    let size: i64 = rows.first().ok_or_else(Failure::bug)?.try_get(0)?;
    if u64::try_from(size).is_ok_and(|size| size > 0 && size <= length) {
        return Ok(true);
    }
    let rows = sqlx::query("PRAGMA quick_check(1)").fetch_all(connection).await?;
    let found: String = rows.first().ok_or_else(Failure::bug)?.try_get(0)?;
    Ok(found == "ok")
}

fn metadata(path: &Path) -> Result<std::fs::Metadata, Failure> {
    std::fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Failure::removed(Some(error)),
        _ => error.into(),
    })
}
