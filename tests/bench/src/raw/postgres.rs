//! Postgres by hand: one prepared statement per call, through a pool with a connection for each caller; batches are
//! arrays for `unnest`. It checks nothing, orders nothing and returns nothing.

use std::future::ready;

use anyhow::Result;
use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::postgres::{PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Decoded, Driver, count};
use crate::workload::Workload;

const TABLE: &str = r#"
drop table if exists raw_events; drop sequence if exists raw_positions; create sequence raw_positions cache 1;
create table raw_events (
  position bigint not null constraint raw_position primary key, stream text collate "C" not null, version bigint not null, id uuid not null constraint raw_id unique,
  type text collate "C", schema text, tags text[], data json, data_bytes bytea, metadata json, recorded_at timestamptz not null, size int not null,
  constraint raw_stream_version unique (stream, version))"#;

pub(super) struct Postgres {
    pool: PgPool,
    workload: &'static Workload,
}

impl Postgres {
    pub(super) async fn open(url: &str, workload: &'static Workload) -> Result<Self> {
        let connections = workload.callers;
        let pool = PgPoolOptions::new()
            .min_connections(connections)
            .max_connections(connections)
            .test_before_acquire(false)
            .connect(url)
            .await?;
        sqlx::raw_sql(TABLE).execute(&pool).await?;
        Ok(Self { pool, workload })
    }
}

#[async_trait]
impl Driver for Postgres {
    fn callers(&self) -> u32 {
        self.workload.callers
    }

    async fn insert_one(&self, stream: &str, version: i64) -> Result<()> {
        let Workload { r#type, data, metadata, .. } = self.workload;
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
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn insert_many(&self, stream: &str, first_version: i64, count: u32) -> Result<()> {
        let Workload { r#type, data, metadata, .. } = self.workload;
        let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
        let many = |text: &'static String| vec![text; ids.len()];
        sqlx::query(
            "insert into raw_events (position, stream, version, id, type, data, metadata, recorded_at, size)
             select nextval('raw_positions'), t.stream, t.version, t.id, t.type, t.data::json, t.metadata::json, statement_timestamp(), t.size
             from unnest($1::text[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::int[]) as t(stream, version, id, type, data, metadata, size)",
        )
        .bind(vec![stream; ids.len()])
        .bind((first_version..first_version + i64::from(count)).collect::<Vec<_>>())
        .bind(&ids)
        .bind(many(r#type))
        .bind(many(data))
        .bind(many(metadata))
        .bind(vec![300; ids.len()])
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// One streamed select.
    async fn read(&self, stream: Option<&str>, limit: u32) -> Result<u32> {
        let order = if stream.is_some() { "where stream = $2 order by version" } else { "order by position" };
        let query = sqlx::query(AssertSqlSafe(format!(
            "select position, stream, version, id, type, schema, tags, data::text, data_bytes, metadata::text, recorded_at from raw_events {order} limit $1"
        )));
        let query = query.bind(i64::from(limit));
        let query = if let Some(stream) = stream { query.bind(stream.to_owned()) } else { query };
        count(query.fetch(&self.pool).and_then(|row| ready(decode(&row)))).await
    }

    async fn drop_run(&self) -> Result<()> {
        sqlx::raw_sql("drop table raw_events; drop sequence raw_positions").execute(&self.pool).await?;
        Ok(())
    }
}

fn decode(row: &PgRow) -> sqlx::Result<Decoded> {
    let (stream, kind, data, metadata): (String, String, String, String) =
        (row.try_get(1)?, row.try_get(4)?, row.try_get(7)?, row.try_get(9)?);
    let (_, _, _): (i64, i64, Uuid) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
    let (_, _, _): (Option<String>, Option<Vec<String>>, Option<Vec<u8>>) =
        (row.try_get(5)?, row.try_get(6)?, row.try_get(8)?);
    let _: OffsetDateTime = row.try_get(10)?;
    Ok(Decoded { bytes: stream.len() + kind.len() + data.len() + metadata.len() })
}
