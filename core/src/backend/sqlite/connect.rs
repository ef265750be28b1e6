//! Opens connections, and sets their options.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use tokio::time::{Instant, timeout_at};

use super::error::{Failure, FailureKind};

/// How long SQLite waits for a lock at a time. It is short, because the store cannot interrupt that wait.
pub(super) const BUSY_SLICE: Duration = Duration::from_millis(100);
/// How many rows the driver's thread may read ahead.
const ROWS_AHEAD: usize = 128;

/// The settings of each connection. `fullfsync` has an effect only on macOS. The file is not mapped into memory,
/// because processes share it.
pub(super) fn connect_options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_SLICE)
        .row_buffer_size(ROWS_AHEAD)
        .foreign_keys(false)
        .pragma("fullfsync", "ON")
        .pragma("checkpoint_fullfsync", "ON")
        .pragma("mmap_size", "0")
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-16384")
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

/// Waits for the driver's answer until the deadline. After the deadline the statement still runs, so its connection
/// must not be used again.
pub(super) async fn within<T, E: Into<Failure>>(
    deadline: Instant,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    timeout_at(deadline, answer).await.map_err(|_| Failure::late())?.map_err(Into::into)
}

/// Opens a connection. It waits while another connection closes the file or recovers its WAL.
pub(super) async fn connect(options: &SqliteConnectOptions, deadline: Instant) -> Result<SqliteConnection, Failure> {
    loop {
        match within(deadline, options.connect()).await {
            Err(failure) if failure.kind == FailureKind::Busy => {}
            answer => return answer,
        }
    }
}
