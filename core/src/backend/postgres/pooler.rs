//! Detects a transaction pooler that the URL does not name.
//!
//! Behind one, each transaction runs in any free server session. Settings, locks and prepared statements of a session
//! then reach other clients, or are missing in the next transaction. So the store sets nothing before this check.
//!
//! Two signs together show a pooler: the server session is older than the connection, and two connections swap sessions
//! between transactions. A pooler that lends whole sessions passes, because its sessions do not swap.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row, SqlStr};
use tokio::time::Instant;

use super::error::{Failure, NAME_IT};

/// How often two connections run transactions at the same time: enough to see a swap in whatever order a pooler lends
/// its sessions.
const ROUNDS: usize = 8;
const WHO: &str = "select a.pid, extract(epoch from clock_timestamp() - a.backend_start)::float8 \
                   from pg_stat_activity as a where a.pid = pg_backend_pid()";

/// Refuses a transaction pooler behind the connection `first`, which was started at `began`. `dial` makes a second one.
pub(super) async fn refuse<F>(first: &mut PgConnection, began: Instant, dial: impl FnOnce() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<PgConnection, Failure>>,
{
    let (first_pid, first_is_old) = who(first, began).await?;
    let began = Instant::now();
    let mut second = match dial().await {
        Ok(connection) => connection,
        // The server has no free connection slot. A pooler would have waited for one, so there is none.
        Err(Failure::Refused { code, .. }) if code.starts_with("53") => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let (second_pid, second_is_old) = who(&mut second, began).await?;
    let mut refused = first_pid == second_pid;
    if !refused && (first_is_old || second_is_old) {
        refused = change_hands([(first, first_pid), (&mut second, second_pid)]).await?;
    }
    // The second connection served this check only.
    let _ = second.close().await;
    if refused { Err(Failure::Setup(NAME_IT.to_owned())) } else { Ok(()) }
}

/// The server process behind a connection, and whether it is older than the connection.
async fn who(connection: &mut PgConnection, began: Instant) -> Result<(i32, bool), Failure> {
    let row = sqlx::raw_sql(SqlStr::from_static(WHO)).fetch_one(connection).await.map_err(Failure::at_connect)?;
    let age = Duration::try_from_secs_f64(row.try_get(1)?).unwrap_or_default();
    Ok((row.try_get(0)?, age > began.elapsed()))
}

/// Whether one of two connections gets another session for a transaction than it had before.
async fn change_hands(mut connections: [(&mut PgConnection, i32); 2]) -> Result<bool, Failure> {
    for round in 0..ROUNDS {
        for (connection, pid) in &mut connections {
            let begin = SqlStr::from_static("begin; select pg_backend_pid()");
            let row = sqlx::raw_sql(begin).fetch_one(&mut **connection).await.map_err(Failure::at_connect)?;
            if row.try_get::<i32, _>(0)? != *pid {
                return Ok(true);
            }
        }
        // The order of the commits alternates, because poolers lend sessions in the order of their return or in
        // reverse.
        for end in 0..connections.len() {
            let (connection, _) = &mut connections[(round + end) % 2];
            let commit = SqlStr::from_static("commit");
            sqlx::raw_sql(commit).execute(&mut **connection).await.map_err(Failure::at_connect)?;
        }
    }
    Ok(false)
}
