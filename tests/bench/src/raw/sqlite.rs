//! SQLite by hand: one prepared statement per call on the only connection for writes; a batch is one insert of many
//! rows. It checks nothing and returns nothing.

use std::future::ready;
use std::path::Path;

use anyhow::Result;
use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Decoded, Driver, count};
use crate::workload::Workload;

const TABLE: &str = "
create table raw_events (
  position integer primary key, stream text not null, version integer not null, id blob not null unique, type text, schema text, tags text, data text, data_bytes blob, metadata text,
  recorded_at integer not null, size integer not null, unique (stream, version)) strict";

pub(super) struct Sqlite {
    pool: SqlitePool,
    workload: &'static Workload,
}

impl Sqlite {
    pub(super) async fn open(path: &Path, workload: &'static Workload) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false).connect_with(options).await?;
        sqlx::raw_sql(TABLE).execute(&pool).await?;
        Ok(Self { pool, workload })
    }
}

#[async_trait]
impl Driver for Sqlite {
    /// SQLite has one writer.
    fn callers(&self) -> u32 {
        1
    }

    async fn insert_one(&self, stream: &str, version: i64) -> Result<()> {
        self.insert_many(stream, version, 1).await
    }

    async fn insert_many(&self, stream: &str, first_version: i64, count: u32) -> Result<()> {
        let Workload { r#type, data, metadata, .. } = self.workload;
        let rows = vec!["(?, ?, ?, ?, ?, ?, ?, ?)"; usize::try_from(count)?].join(", ");
        let statement = format!(
            "insert into raw_events (stream, version, id, type, data, metadata, recorded_at, size) values {rows}"
        );
        let mut insert = sqlx::query(AssertSqlSafe(statement));
        let now = now_micros();
        for version in first_version..first_version + i64::from(count) {
            insert = insert
                .bind(stream.to_owned())
                .bind(version)
                .bind(Uuid::now_v7())
                .bind(r#type)
                .bind(data)
                .bind(metadata)
                .bind(now)
                .bind(300);
        }
        insert.execute(&self.pool).await?;
        Ok(())
    }

    /// One streamed select.
    async fn read(&self, stream: Option<&str>, limit: u32) -> Result<u32> {
        let order = if stream.is_some() { "where stream = ?2 order by version" } else { "order by position" };
        let query = sqlx::query(AssertSqlSafe(format!(
            "select position, stream, version, id, type, schema, tags, data, data_bytes, metadata, recorded_at from raw_events {order} limit ?1"
        )));
        let query = query.bind(limit);
        let query = if let Some(stream) = stream { query.bind(stream.to_owned()) } else { query };
        count(query.fetch(&self.pool).and_then(|row| ready(decode(&row)))).await
    }

    /// The file is in a temporary folder.
    async fn drop_run(&self) -> Result<()> {
        Ok(())
    }
}

fn decode(row: &SqliteRow) -> sqlx::Result<Decoded> {
    let (stream, kind, data, metadata): (String, String, String, String) =
        (row.try_get(1)?, row.try_get(4)?, row.try_get(7)?, row.try_get(9)?);
    let (_, _, _): (i64, i64, Uuid) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
    let (_, _, _): (Option<String>, Option<String>, Option<Vec<u8>>) =
        (row.try_get(5)?, row.try_get(6)?, row.try_get(8)?);
    let _: i64 = row.try_get(10)?;
    Ok(Decoded { bytes: stream.len() + kind.len() + data.len() + metadata.len() })
}

fn now_micros() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}
