//! Finds a transaction pooler that the URL does not name.
//!
//! Behind one, each transaction runs in whatever server session is free. What is set in a session then reaches other
//! clients, and locks and prepared statements are lost or met again. So nothing is set before this is known.
//!
//! A pooler lends sessions that are older than the connection, and sessions that are lent for one transaction each
//! change hands between two connections. A pooler that lends whole sessions passes: it is old, and nothing changes.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row, SqlStr};
use tokio::time::Instant;

use super::error::{Failure, NAME_IT};

/// How often two connections begin and end transactions side by side: enough to see a change of hands whatever order a
/// pooler lends its sessions in.
const ROUNDS: usize = 8;
const WHO: &str = "select a.pid, extract(epoch from clock_timestamp() - a.backend_start)::float8 \
                   from pg_stat_activity as a where a.pid = pg_backend_pid()";

/// Refuses a transaction pooler behind `first`, a connection that began to be made at `began`; `dial` makes another one.
pub(super) async fn refuse<F>(first: &mut PgConnection, began: Instant, dial: impl FnOnce() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<PgConnection, Failure>>,
{
    let (first_pid, first_is_old) = who(first, began).await?;
    let began = Instant::now();
    let mut second = match dial().await {
        Ok(connection) => connection,
        // No room for a second connection: then there is no pooler, which would make room.
        Err(Failure::Refused { code, .. }) if code.starts_with("53") => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let (second_pid, second_is_old) = who(&mut second, began).await?;
    let mut refused = first_pid == second_pid;
    if !refused && (first_is_old || second_is_old) {
        refused = change_hands([(first, first_pid), (&mut second, second_pid)]).await?;
    }
    // It was for this alone.
    let _ = second.close().await;
    if refused { Err(Failure::Setup(NAME_IT.to_owned())) } else { Ok(()) }
}

/// The server process behind a connection, and whether it is older than the connection.
async fn who(connection: &mut PgConnection, began: Instant) -> Result<(i32, bool), Failure> {
    let row = sqlx::raw_sql(SqlStr::from_static(WHO)).fetch_one(connection).await.map_err(Failure::at_connect)?;
    let age = Duration::try_from_secs_f64(row.try_get(1)?).unwrap_or_default();
    Ok((row.try_get(0)?, age > began.elapsed()))
}

/// Whether one of two connections gets another session for its transactions than before.
async fn change_hands(mut connections: [(&mut PgConnection, i32); 2]) -> Result<bool, Failure> {
    for round in 0..ROUNDS {
        for (connection, pid) in &mut connections {
            let begin = SqlStr::from_static("begin; select pg_backend_pid()");
            let row = sqlx::raw_sql(begin).fetch_one(&mut **connection).await.map_err(Failure::at_connect)?;
            if row.try_get::<i32, _>(0)? != *pid {
                return Ok(true);
            }
        }
        // Ended in turn in one order and in the other: sessions are lent again in the order they came back, or in the
        // opposite one.
        for end in 0..connections.len() {
            let (connection, _) = &mut connections[(round + end) % 2];
            let commit = SqlStr::from_static("commit");
            sqlx::raw_sql(commit).execute(&mut **connection).await.map_err(Failure::at_connect)?;
        }
    }
    Ok(false)
}
