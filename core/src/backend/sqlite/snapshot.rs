//! Saves and loads snapshots.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use tokio::time::Instant;
use uuid::Uuid;

use super::Sqlite;
use super::connect::within;
use super::error::{Failure, FailureKind};
use super::row::{bound, content, number};
use crate::error::Result;
use crate::event::Payload;
use crate::request::SnapshotRecord;

impl Sqlite {
    /// Saves a snapshot; see the trait.
    pub(super) async fn save_snapshot(&self, record: &SnapshotRecord, deadline: Instant) -> Result<()> {
        let mut lease = self.file.writer.lease(deadline).await?;
        let answer = within(deadline, self.put(&mut lease.connection, record)).await;
        Ok(lease.settle(answer)?)
    }

    async fn put(
        &self,
        connection: &mut SqliteConnection,
        record: &SnapshotRecord,
    ) -> std::result::Result<(), Failure> {
        let (text, bytes) = match &record.data {
            Payload::Json(text) => (Some(text.as_str()), None),
            Payload::Bytes(bytes) => (None, Some(bytes.as_slice())),
        };
        loop {
            let statement =
                self.sql.query(&self.sql.save_snapshot).bind(record.stream.as_str()).bind(record.schema.as_str());
            let statement = statement
                .bind(bound(record.version))
                .bind(record.event_id.as_bytes().as_slice())
                .bind(i64::from(record.checksum));
            match statement.bind(text).bind(bytes).execute(&mut *connection).await.map_err(Failure::from) {
                Err(failure) if failure.kind == FailureKind::Busy => {}
                answer => return answer.map(|_| ()),
            }
        }
    }

    /// Loads the latest snapshot at or below a version; see the trait.
    pub(super) async fn load_snapshot(
        &self,
        stream: &str,
        schema: &str,
        at_or_before: u64,
        deadline: Instant,
    ) -> Result<Option<SnapshotRecord>> {
        let read = self.read(deadline, |mut lease| async move {
            let statement = self.sql.query(&self.sql.load_snapshot).bind(stream).bind(schema).bind(bound(at_or_before));
            let rows = statement.fetch_all(&mut lease.connection).await.map_err(Failure::from);
            lease.settle(rows)
        });
        let rows = read.await?;
        Ok(rows.first().map(|row| decode(row, stream, schema)).transpose()?)
    }
}

fn decode(row: &SqliteRow, stream: &str, schema: &str) -> std::result::Result<SnapshotRecord, Failure> {
    let version = number(row, 0)?;
    // A field that cannot be read makes the snapshot invalid, so it is ignored. It is not an error.
    let event_id = row.try_get(1).ok().and_then(|id| Uuid::from_slice(id).ok()).unwrap_or_default();
    let checksum = row.try_get::<i64, _>(2).ok().and_then(|checksum| u32::try_from(checksum).ok()).unwrap_or(u32::MAX);
    let data = content(row, 3).unwrap_or_else(|_| Payload::Bytes(Vec::new()));
    Ok(SnapshotRecord { stream: stream.to_owned(), schema: schema.to_owned(), version, event_id, checksum, data })
}
