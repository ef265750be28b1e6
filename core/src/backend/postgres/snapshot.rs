//! Saves and loads snapshots: one row for each stream, schema and version.

use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio::time::Instant;

use super::Postgres;
use super::error::Failure;
use super::row::{bigint, number};
use crate::error::Result;
use crate::event::Payload;
use crate::request::SnapshotRecord;

impl Postgres {
    pub(super) async fn save_snapshot(&self, record: &SnapshotRecord, deadline: Instant) -> Result<()> {
        let (json, bytes) = match &record.data {
            Payload::Json(text) => (Some(text), None),
            Payload::Bytes(bytes) => (None, Some(bytes)),
        };
        let query = sqlx::query(self.statements.save_snapshot.clone())
            .bind(&record.stream)
            .bind(&record.schema)
            .bind(bigint(record.version))
            .bind(record.event_id)
            .bind(i64::from(record.checksum))
            .bind(json)
            .bind(bytes);
        let mut lease = self.pool.lease(deadline).await?;
        lease.fetch(query, deadline).await?;
        Ok(())
    }

    pub(super) async fn load_snapshot(
        &self,
        stream: &str,
        schema: &str,
        at_or_before: u64,
        deadline: Instant,
    ) -> Result<Option<SnapshotRecord>> {
        let query =
            sqlx::query(self.statements.load_snapshot.clone()).bind(stream).bind(schema).bind(bigint(at_or_before));
        let mut lease = self.pool.lease_to_read(deadline).await?;
        let rows = lease.fetch(query, deadline).await?;
        Ok(rows.first().map(|row| record(row, stream, schema)).transpose()?)
    }
}

fn record(row: &PgRow, stream: &str, schema: &str) -> std::result::Result<SnapshotRecord, Failure> {
    let data = match row.try_get_unchecked::<Option<&str>, _>(3)? {
        Some(text) => Payload::Json(text.to_owned()),
        None => Payload::Bytes(row.try_get::<Option<Vec<u8>>, _>(4)?.unwrap_or_default()),
    };
    Ok(SnapshotRecord {
        stream: stream.to_owned(),
        schema: schema.to_owned(),
        version: number(row, 0)?,
        event_id: row.try_get(1)?,
        // A number out of range becomes a checksum that does not match, so the snapshot is not used.
        checksum: u32::try_from(row.try_get::<i64, _>(2)?).unwrap_or(u32::MAX),
        data,
    })
}
