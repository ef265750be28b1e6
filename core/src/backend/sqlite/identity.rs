//! Whether the file at the path is still the file that is open.
//!
//! A program that removes or replaces an open SQLite file takes nothing away from whoever has it open: SQLite goes on
//! writing to a file that has no name any more, and what it wrote is gone when it closes. So the store compares the
//! files at the path with those it opened before it sends an append, while it holds the lock, and before it
//! acknowledges.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};
use tokio::time::Instant;

use super::connect::{connect, within};
use super::error::Failure;

/// A file by what it is, whatever its path: device and inode.
pub(super) type FileId = (u64, u64);

/// The file at a path, if there is one and the system numbers its files.
pub(super) fn file_id(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().and_then(|found| id_of(&found))
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "other systems have no such number")]
fn id_of(found: &std::fs::Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    Some((found.dev(), found.ino()))
}

/// Other systems do not let an open file be removed.
#[cfg(not(unix))]
fn id_of(_found: &std::fs::Metadata) -> Option<FileId> {
    None
}

/// The files that a store has open, and how to look whether they are still in their places.
///
/// The `-wal` and `-shm` files stay the same ones as long as any connection of this process is open, because SQLite
/// removes them only with the last one.
#[derive(Debug)]
pub(super) struct Identity {
    options: SqliteConnectOptions,
    /// The database, its `-wal` and its `-shm`.
    files: [(PathBuf, Option<FileId>); 3],
    /// The database file's length when it was last seen.
    length: AtomicU64,
}

impl Identity {
    /// Notes the files of a database on which a connection is open that has read from it.
    pub(super) fn note(path: &Path, options: &SqliteConnectOptions) -> Result<Self, Failure> {
        let beside = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let mut files = [path.to_owned(), beside("-wal"), beside("-shm")].map(|path| (path, None));
        for (path, id) in &mut files {
            *id = id_of(&look(path)?);
        }
        let length = AtomicU64::new(look(path)?.len());
        Ok(Self { options: options.clone(), files, length })
    }

    /// Fails if one of the files was removed, replaced or cut off since they were opened.
    pub(super) async fn check(&self, deadline: Instant) -> Result<(), Failure> {
        let mut length = None;
        for (path, id) in &self.files {
            let found = look(path)?;
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

    /// Looks inside a file that became shorter. Another program's `VACUUM` shortens a file too.
    async fn check_content(&self, length: u64, deadline: Instant) -> Result<(), Failure> {
        // SQLite itself would take an empty file for a new database, and remove its WAL.
        if length == 0 {
            return Err(Failure::removed(None));
        }
        let mut connection = connect(&self.options, deadline).await?;
        let sound = within(deadline, sound(&mut connection, length)).await;
        // An error here changes nothing: the connection has only read.
        let _ = connection.close().await;
        if sound? { Ok(()) } else { Err(Failure::removed(None)) }
    }
}

/// Whether a file of this length, with its WAL, holds a whole database. Cheap unless its end lies in the WAL.
async fn sound(connection: &mut SqliteConnection, length: u64) -> Result<bool, Failure> {
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

fn look(path: &Path) -> Result<std::fs::Metadata, Failure> {
    std::fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Failure::removed(Some(error)),
        _ => error.into(),
    })
}
