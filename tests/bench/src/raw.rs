//! The raw driver, as good as it gets by hand: what every figure is a ratio to.
//!
//! One prepared statement a call, through the same driver and a pool of it, on a table of its own in the same database, with the store's columns and the same unique constraints (position;
//! stream and version; id) and no others; batches as arrays through `unnest` (Postgres) or as one insert of many rows (SQLite). It checks nothing, orders nothing and answers nothing.

use anyhow::Result;
use futures::TryStreamExt;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::workload::Workload;

/// The raw driver on one of the databases.
#[derive(Clone)]
pub(crate) struct Raw {
    pool: Pool,
    workload: &'static Workload,
}

#[derive(Clone)]
enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

/// What a read gives: the store's columns, decoded into owned values.
pub(crate) struct Decoded {
    pub(crate) bytes: usize,
}

const POSTGRES_TABLE: &str = r#"
drop table if exists raw_events; drop sequence if exists raw_positions; create sequence raw_positions cache 1;
create table raw_events (
  position bigint not null constraint raw_position primary key, stream text collate "C" not null, version bigint not null, id uuid not null constraint raw_id unique,
  type text collate "C", schema text, tags text[], data json, data_bytes bytea, metadata json, recorded_at timestamptz not null, size int not null,
  constraint raw_stream_version unique (stream, version))"#;

const SQLITE_TABLE: &str = "
create table raw_events (
  position integer primary key, stream text not null, version integer not null, id blob not null unique, type text, schema text, tags text, data text, data_bytes blob, metadata text,
  recorded_at integer not null, size integer not null, unique (stream, version)) strict";

impl Raw {
    pub(crate) async fn postgres(url: &str, workload: &'static Workload) -> Result<Self> {
        let connections = u32::try_from(workload.callers)?;
        let pool = PgPoolOptions::new().min_connections(connections).max_connections(connections).test_before_acquire(false).connect(url).await?;
        sqlx::raw_sql(POSTGRES_TABLE).execute(&pool).await?;
        Ok(Self { pool: Pool::Postgres(pool), workload })
    }

    pub(crate) async fn sqlite(path: &std::path::Path, workload: &'static Workload) -> Result<Self> {
        let options =
            SqliteConnectOptions::new().filename(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false).connect_with(options).await?;
        sqlx::raw_sql(SQLITE_TABLE).execute(&pool).await?;
        Ok(Self { pool: Pool::Sqlite(pool), workload })
    }

    /// Callers worth having: a connection each on Postgres; SQLite has one writer.
    pub(crate) const fn callers(&self) -> usize {
        match &self.pool {
            Pool::Postgres(_) => self.workload.callers,
            Pool::Sqlite(_) => 1,
        }
    }

    pub(crate) async fn insert_one(&self, stream: &str, version: i64) -> Result<()> {
        let Workload { r#type, data, metadata, .. } = self.workload;
        match &self.pool {
            Pool::Postgres(pool) => {
                sqlx::query(
                    "insert into raw_events (position, stream, version, id, type, data, metadata, recorded_at, size)
                     values (nextval('raw_positions'), $1, $2, $3, $4, $5::json, $6::json, statement_timestamp(), $7)",
                )
                .bind(stream)
                .bind(version)
                .bind(Uuid::now_v7())
                .bind(r#type)
                .bind(data)
                .bind(metadata)
                .bind(300)
                .execute(pool)
                .await?;
            }
            Pool::Sqlite(pool) => {
                sqlx::query("insert into raw_events (stream, version, id, type, data, metadata, recorded_at, size) values (?, ?, ?, ?, ?, ?, ?, ?)")
                    .bind(stream)
                    .bind(version)
                    .bind(Uuid::now_v7())
                    .bind(r#type)
                    .bind(data)
                    .bind(metadata)
                    .bind(now_micros())
                    .bind(300)
                    .execute(pool)
                    .await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn insert_many(&self, stream: &str, first_version: i64, count: i64) -> Result<()> {
        let Workload { r#type, data, metadata, .. } = self.workload;
        let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
        match &self.pool {
            Pool::Postgres(pool) => {
                let many = |text: &'static String| vec![text; ids.len()];
                sqlx::query(
                    "insert into raw_events (position, stream, version, id, type, data, metadata, recorded_at, size)
                     select nextval('raw_positions'), t.stream, t.version, t.id, t.type, t.data::json, t.metadata::json, statement_timestamp(), t.size
                     from unnest($1::text[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::int[]) as t(stream, version, id, type, data, metadata, size)",
                )
                .bind(vec![stream; ids.len()])
                .bind((first_version..first_version + count).collect::<Vec<_>>())
                .bind(&ids)
                .bind(many(r#type))
                .bind(many(data))
                .bind(many(metadata))
                .bind(vec![300; ids.len()])
                .execute(pool)
                .await?;
            }
            Pool::Sqlite(pool) => {
                let rows = vec!["(?, ?, ?, ?, ?, ?, ?, ?)"; ids.len()].join(", ");
                let statement = format!("insert into raw_events (stream, version, id, type, data, metadata, recorded_at, size) values {rows}");
                let mut insert = sqlx::query(AssertSqlSafe(statement));
                let now = now_micros();
                for (version, id) in (first_version..).zip(&ids) {
                    insert = insert.bind(stream.to_owned()).bind(version).bind(*id).bind(r#type).bind(data).bind(metadata).bind(now).bind(300);
                }
                insert.execute(pool).await?;
            }
        }
        Ok(())
    }

    /// One streamed select of a stream, or of the whole log, each row decoded.
    pub(crate) async fn read(&self, stream: Option<&str>) -> Result<u64> {
        const COLUMNS: &str = "select position, stream, version, id, type, schema, tags, data, data_bytes, metadata, recorded_at from raw_events";
        let order = if stream.is_some() { "where stream = $1 order by version" } else { "order by position" };
        match &self.pool {
            Pool::Postgres(pool) => {
                let columns = COLUMNS.replace(" data,", " data::text,").replace(" metadata,", " metadata::text,");
                let query = sqlx::query(AssertSqlSafe(format!("{columns} {order}")));
                let query = if let Some(stream) = stream { query.bind(stream.to_owned()) } else { query };
                let decode = |row: sqlx::postgres::PgRow| -> Result<Decoded, sqlx::Error> {
                    let (stream, kind, data, metadata): (String, String, String, String) = (row.try_get(1)?, row.try_get(4)?, row.try_get(7)?, row.try_get(9)?);
                    let (_, _, _): (i64, i64, Uuid) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
                    let (_, _, _): (Option<String>, Option<Vec<String>>, Option<Vec<u8>>) = (row.try_get(5)?, row.try_get(6)?, row.try_get(8)?);
                    let _: OffsetDateTime = row.try_get(10)?;
                    Ok(Decoded { bytes: stream.len() + kind.len() + data.len() + metadata.len() })
                };
                count(query.fetch(pool).and_then(|row| std::future::ready(decode(row)))).await
            }
            Pool::Sqlite(pool) => {
                let query = sqlx::query(AssertSqlSafe(format!("{COLUMNS} {order}")));
                let query = if let Some(stream) = stream { query.bind(stream.to_owned()) } else { query };
                let decode = |row: sqlx::sqlite::SqliteRow| -> Result<Decoded, sqlx::Error> {
                    let (stream, kind, data, metadata): (String, String, String, String) = (row.try_get(1)?, row.try_get(4)?, row.try_get(7)?, row.try_get(9)?);
                    let (_, _, _): (i64, i64, Uuid) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
                    let (_, _, _): (Option<String>, Option<String>, Option<Vec<u8>>) = (row.try_get(5)?, row.try_get(6)?, row.try_get(8)?);
                    let _: i64 = row.try_get(10)?;
                    Ok(Decoded { bytes: stream.len() + kind.len() + data.len() + metadata.len() })
                };
                count(query.fetch(pool).and_then(|row| std::future::ready(decode(row)))).await
            }
        }
    }
}

async fn count(rows: impl futures::Stream<Item = Result<Decoded, sqlx::Error>>) -> Result<u64> {
    let (count, bytes) = rows.try_fold((0_u64, 0_usize), |(count, bytes), row| std::future::ready(Ok((count + 1, bytes + row.bytes)))).await?;
    anyhow::ensure!(count == 0 || bytes > 0, "rows without content");
    Ok(count)
}

fn now_micros() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}
