//! The stored format of a namespace: which version this library writes, and whether it may read and write another.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use tokio::time::Instant;

use super::Sqlite;
use super::error::Failure;
use crate::error::{Error, Result};
use crate::format::Format;

/// The format that this library writes, and the oldest library formats that may read and write it.
pub(super) const FORMAT: i64 = 1;
pub(super) const MIN_READER: i64 = 1;
pub(super) const MIN_WRITER: i64 = 1;

/// How often an open namespace checks its format again. A migration by a newer library stops older ones within this
/// time.
const CHECK: Duration = Duration::from_secs(5);

/// The format at the last check.
#[derive(Debug)]
pub(super) struct LastFormat(Mutex<Option<(Instant, Format)>>);

impl LastFormat {
    pub(super) const fn unknown() -> Self {
        Self(Mutex::new(None))
    }

    fn recent(&self) -> Option<Format> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|(at, _)| at.elapsed() < CHECK).map(|(_, format)| format)
    }

    fn record(&self, format: Format) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), format));
    }
}

/// The format in the registry; `None` if the namespace does not exist.
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
    /// Refuses a read if this library is too old for the namespace.
    pub(super) async fn check_reader(&self, deadline: Instant) -> Result<()> {
        self.format(deadline).await?.check_reader(FORMAT).map_err(Error::config)
    }

    /// Refuses a write if this library is too old for the namespace.
    pub(super) async fn check_writer(&self, deadline: Instant) -> Result<()> {
        self.format(deadline).await?.check_writer(FORMAT).map_err(Error::config)
    }

    async fn format(&self, deadline: Instant) -> Result<Format> {
        if let Some(format) = self.last_format.recent() {
            return Ok(format);
        }
        let namespace = &self.sql.namespace;
        let read = self.read(deadline, |mut lease| async move {
            let found = registered(&mut lease.connection, namespace).await;
            lease.settle(found)
        });
        let format = read
            .await?
            .ok_or_else(|| Error::config(format!("namespace '{namespace}' was removed while it was open")))?;
        self.last_format.record(format);
        Ok(format)
    }
}
