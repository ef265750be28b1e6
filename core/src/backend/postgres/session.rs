//! One server session: its settings, which are set and read back, and the server process behind it.

use std::collections::HashMap;
use std::fmt;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row, SqlStr};
use tokio::time::Instant;

use super::error::Failure;
use super::names::{BEGIN, safe};
use crate::options::Durability;

/// The server process that runs a statement. Behind a transaction pooler it also serves others, so there it is one
/// transaction of the process. The start time is part of it, because a pid can be used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) pid: i32,
    /// The start of the process, or of the transaction behind a transaction pooler.
    pub(super) started: String,
}

/// A connection, with what is known about its server process.
pub(super) struct Session {
    pub(super) connection: PgConnection,
    /// `None` behind a transaction pooler before the first transaction.
    pub(super) backend: Option<Backend>,
    /// The database's number in `pg_locks`, where the locks of all databases are listed.
    pub(super) database: u32,
    pub(super) set_up: SetUp,
    /// The last check of each namespace on this connection.
    pub(super) checked: HashMap<String, Checked>,
}

/// The result of a check of a namespace.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) at: Instant,
    /// Why this library may not write to it, if it may not.
    pub(super) read_only: Option<String>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(connection: PgConnection, set_up: SetUp, about: About) -> Self {
        let (backend, database) = (Some(about.backend), about.database);
        Self { connection, backend, database, set_up, checked: HashMap::new() }
    }

    /// A connection to a transaction pooler: each transaction is set up by itself.
    pub(super) fn pooled(connection: PgConnection, set_up: SetUp) -> Self {
        Self { connection, backend: None, database: 0, set_up, checked: HashMap::new() }
    }
}

pub(super) const IN_RECOVERY: &str =
    "the server is in recovery; a standby does not show the running writers and the last drawn position";

/// The settings that the store's statements rely on. They are set in each session, whatever the defaults are, and read
/// back.
///
/// Each statement is written for one index, and a plan that was made while a table was empty must not stay. So there
/// are no sequential scans and one plan for all values, made once in a connection, because planning an append costs as
/// much as running it. The cost estimates of such plans would start the JIT compiler without need, and parallel workers
/// would change the order of a page. All names are qualified, so the search path holds no schema of a user. A statement
/// timeout would end a wait for a synchronous standby early and report success.
const SETTINGS: &[(&str, &str)] = &[
    ("default_transaction_isolation", "read committed"),
    ("search_path", "pg_catalog"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("enable_indexscan", "on"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("max_parallel_workers_per_gather", "0"),
    ("client_min_messages", "warning"),
];
/// With these the server notices a client that vanished, and releases its locks. They are not read back, because socket
/// files and some systems do not support them. Seconds; the last one is in milliseconds.
const TCP: &[(&str, &str)] = &[
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "25000"),
];
/// The settings that make a commit durable. A session can set only the first.
pub(super) const DURABILITY: [&str; 3] = ["synchronous_commit", "fsync", "full_page_writes"];
/// The values of [`DURABILITY`] with which a crash can lose acknowledged events.
const WEAK: [&str; 3] = ["off", "local", "remote_write"];
/// From this version on there is a transaction timeout, which would end the wait for a standby early too.
const WITH_TRANSACTION_TIMEOUT: u32 = 170_000;
/// From this version on the server can check the client while a statement runs.
const WITH_CONNECTION_CHECK: u32 = 140_000;
const OLDEST: i32 = 130_000;

/// Sets up a session, or each transaction behind a transaction pooler.
#[derive(Clone)]
pub(super) struct SetUp {
    version: Option<u32>,
    durability: Durability,
    transaction_only: bool,
}

impl SetUp {
    pub(super) const fn new(version: Option<u32>, durability: Durability, transaction_only: bool) -> Self {
        Self { version, durability, transaction_only }
    }

    /// Whether settings may only last for a transaction, because a pooler shares the session with other clients.
    pub(super) const fn transaction_only(&self) -> bool {
        self.transaction_only
    }

    /// The statements that set up the session and read it back: one row for the settings, one for [`Self::read_back`].
    ///
    /// `synchronous_commit` is set even if its default is strong already, because the default can change later.
    pub(super) fn text(&self) -> SqlStr {
        let tcp = if self.transaction_only { &[] } else { TCP };
        let mut set: Vec<String> = self
            .settings()
            .chain(tcp.iter().copied())
            .map(|(name, value)| self.set_config(name, &format!("'{value}'")))
            .collect();
        if self.durability == Durability::Full {
            // The only strong values are `on` and the stronger `remote_apply`.
            let value =
                "case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end";
            set.push(self.set_config("synchronous_commit", value));
        }
        let shown: Vec<String> = self
            .settings()
            .map(|(name, _)| name)
            .chain(DURABILITY)
            .map(|name| format!("current_setting('{name}')"))
            .collect();
        let (begin, started) =
            if self.transaction_only { (BEGIN, "transaction_timestamp()") } else { ("", "a.backend_start") };
        safe(format!(
            "{begin}select {}; select pg_is_in_recovery(), a.pid, {started}::text, a.datid::bigint, \
             current_setting('server_version_num')::int, current_setting('server_encoding'), {} \
             from pg_stat_activity as a where a.pid = pg_backend_pid()",
            set.join(", "),
            shown.join(", "),
        ))
    }

    fn settings(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let transaction_timeout = self.version.is_some_and(|version| version >= WITH_TRANSACTION_TIMEOUT);
        SETTINGS.iter().copied().chain(transaction_timeout.then_some(("transaction_timeout", "0")))
    }

    fn set_config(&self, name: &str, value: &str) -> String {
        format!("set_config('{name}', {value}, {})", self.transaction_only)
    }

    /// Reads the answer to [`Self::text`], and refuses a session whose settings are not as the store needs them.
    pub(super) fn read_back(&self, rows: &[PgRow]) -> Result<About, Failure> {
        let about = rows.get(1).ok_or_else(|| Failure::Lost("the server does not show this session".to_owned()))?;
        check_server(about.try_get(4)?, about.try_get(5)?)?;
        let mut column = 6;
        for (name, value) in self.settings() {
            let found: &str = about.try_get(column)?;
            if found != value {
                return Err(Failure::Setup(format!("the session's {name} was set to '{value}' but is '{found}'")));
            }
            column += 1;
        }
        if self.durability == Durability::Full {
            check_durable(about, column)?;
        }
        let database = u32::try_from(about.try_get::<i64, _>(3)?)
            .map_err(|_| Failure::Unreadable("a database's number".to_owned()))?;
        let backend = Backend { pid: about.try_get(1)?, started: about.try_get(2)? };
        Ok(About { in_recovery: about.try_get(0)?, backend, database })
    }
}

/// The read-back facts about a session.
pub(super) struct About {
    pub(super) in_recovery: bool,
    pub(super) backend: Backend,
    pub(super) database: u32,
}

fn check_server(version: i32, encoding: &str) -> Result<(), Failure> {
    if version < OLDEST {
        return Err(Failure::Setup(format!(
            "the store needs Postgres 13 or later, but this server is {}",
            version / 10_000
        )));
    }
    if encoding != "UTF8" {
        return Err(Failure::Setup(format!("the database's encoding must be UTF8, but it is {encoding}")));
    }
    Ok(())
}

/// Refuses weak values of [`DURABILITY`], which begin at the column `first`.
fn check_durable(row: &PgRow, first: usize) -> Result<(), Failure> {
    for (column, name) in (first..).zip(DURABILITY) {
        let value: &str = row.try_get(column)?;
        if WEAK.contains(&value) {
            return Err(Failure::Setup(format!(
                "{name} is {value}: acknowledged events could be lost in a crash; set it to on, or open with \
                 durability=relaxed"
            )));
        }
    }
    Ok(())
}

/// Makes the server check the client while a statement runs. A server that cannot do so ends the statement by its own
/// time limits.
pub(super) async fn end_with_client(connection: &mut PgConnection) -> Result<(), Failure> {
    if connection.server_version_num().is_none_or(|version| version < WITH_CONNECTION_CHECK) {
        return Ok(());
    }
    let set = SqlStr::from_static("set client_connection_check_interval = '1s'");
    match sqlx::raw_sql(set).execute(&mut *connection).await.map_err(Failure::from) {
        Ok(_) | Err(Failure::Refused { .. }) => Ok(()),
        Err(failure) => Err(failure),
    }
}
