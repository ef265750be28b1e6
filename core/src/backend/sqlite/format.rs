//! The format of a namespace, which this library may be too old to read or to write.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use tokio::time::Instant;

use super::Sqlite;
use super::error::Failure;
use crate::error::{Error, Result};
use crate::format::Format;

/// The format this library writes, and the oldest library that may read it and write it.
pub(super) const FORMAT: i64 = 1;
pub(super) const MIN_READER: i64 = 1;
pub(super) const MIN_WRITER: i64 = 1;

/// How often an open namespace looks at its format again: a migration by a newer library ends the calls of an older one
/// within this time.
const CHECK: Duration = Duration::from_secs(5);

/// The format at the last look.
#[derive(Debug)]
pub(super) struct Seen(Mutex<Option<(Instant, Format)>>);

impl Seen {
    pub(super) const fn nothing() -> Self {
        Self(Mutex::new(None))
    }

    fn recent(&self) -> Option<Format> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.filter(|(at, _)| at.elapsed() < CHECK).map(|(_, format)| format)
    }

    fn saw(&self, format: Format) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), format));
    }
}

/// The format in the registry. `None` if the namespace is not there.
pub(super) async fn registered(
    connection: &mut SqliteConnection,
    namespace: &str,
) -> std::result::Result<Option<Format>, Failure> {
    let statement =
        sqlx::query("SELECT format, min_reader, min_writer FROM streamkeep_namespaces WHERE name = ?").bind(namespace);
    let row = statement.fetch_optional(connection).await?;
    let format = |row: SqliteRow| {
        Ok(Format { format: row.try_get(0)?, min_reader: row.try_get(1)?, min_writer: row.try_get(2)? })
    };
    row.map(format).transpose().map_err(|error: sqlx::Error| error.into())
}

impl Sqlite {
    /// Refuses to read what this library is too old for.
    pub(super) async fn check_reader(&self, deadline: Instant) -> Result<()> {
        self.format(deadline).await?.check_reader(FORMAT).map_err(Error::config)
    }

    /// Refuses to write what this library is too old for.
    pub(super) async fn check_writer(&self, deadline: Instant) -> Result<()> {
        self.format(deadline).await?.check_writer(FORMAT).map_err(Error::config)
    }

    async fn format(&self, deadline: Instant) -> Result<Format> {
        if let Some(format) = self.seen.recent() {
            return Ok(format);
        }
        let namespace = &self.sql.namespace;
        let read = self.read(deadline, |mut lease| async move {
            let found = registered(&mut lease.connection, namespace).await;
            lease.settle(found)
        });
        let format = read.await?.ok_or_else(|| Error::config(format!("namespace '{namespace}' is gone")))?;
        self.seen.saw(format);
        Ok(format)
    }
}
