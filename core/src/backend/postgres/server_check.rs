//! Checks that the server does what the order of the log relies on. Other servers speak the Postgres protocol, and some
//! accept an advisory lock without taking or listing it. With them the log would lose its order without an error. The
//! check takes an announcement's lock and draws a position with the statements that writers use, and looks for both
//! with the statements that readers use.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio::time::Instant;

use super::error::Failure;
use super::lease::Lease;
use super::names::{BEGIN, Names, REGISTRY, safe};

/// The lock class of the check. Those of namespaces are multiples of 4, so it is none of them.
const CLASS: i32 = 0x7374_7267;
/// The sequence of the check, in the schema of the registry.
pub(super) const SEQUENCE: &str = "server_check";

/// The state of the check, which passes once for a database.
#[derive(Debug, Default)]
pub(super) struct ServerCheck {
    passed: AtomicBool,
}

impl ServerCheck {
    /// Checks the server at open, if this role may draw from the check's sequence.
    pub(super) async fn at_open(&self, lease: &mut Lease, deadline: Instant) -> Result<(), Failure> {
        if self.passed.load(Ordering::Acquire) {
            return Ok(());
        }
        let may_draw = safe(format!(
            "select has_sequence_privilege(c.oid, 'usage') from pg_class as c join pg_namespace as n on n.oid = c.relnamespace \
             where n.nspname = '{REGISTRY}' and c.relname = '{SEQUENCE}' and c.relkind = 'S'"
        ));
        let rows = lease.run(may_draw, deadline).await?;
        if !rows.first().map_or(Ok(false), |row| row.try_get(0))? {
            return Ok(());
        }
        match self.check(lease, &format!("{REGISTRY}.{SEQUENCE}"), deadline).await {
            // The server is set read-only: the store can read, and the check runs again before its first write.
            Err(Failure::Stopped { .. }) => Ok(()),
            other => other,
        }
    }

    /// Checks the server before the first write, if the check did not pass at open. It draws a position of the
    /// namespace, which stays a gap.
    pub(super) async fn before_writing(
        &self,
        lease: &mut Lease,
        names: &Names,
        deadline: Instant,
    ) -> Result<(), Failure> {
        if self.passed.load(Ordering::Acquire) {
            return Ok(());
        }
        self.check(lease, &format!("{}.positions", names.schema), deadline).await.map_err(Failure::before_sending)
    }

    async fn check(&self, lease: &mut Lease, sequence: &str, deadline: Instant) -> Result<(), Failure> {
        let lock = format!("{BEGIN}select pg_advisory_xact_lock_shared({CLASS}, pg_backend_pid())");
        lease.begin(&safe(lock), deadline).await?;
        let found = look(lease, sequence, deadline).await;
        lease.roll_back(deadline).await;
        let (wrong, version) = found?;
        match wrong {
            Some(wrong) => Err(Failure::Setup(format!(
                "the server cannot keep the order of the log: {wrong}; its version is {version}"
            ))),
            None => {
                self.passed.store(true, Ordering::Release);
                Ok(())
            }
        }
    }
}

/// Returns what is wrong, if anything, and the server's version.
async fn look(lease: &mut Lease, sequence: &str, deadline: Instant) -> Result<(Option<&'static str>, String), Failure> {
    let database = lease.database();
    let last = format!("coalesce(pg_sequence_last_value('{sequence}'::regclass), 0)");
    let look = safe(format!(
        "select count(*), version() from pg_locks where locktype = 'advisory' and database = {database} \
         and classid = {CLASS} and objid = pg_backend_pid() and objsubid = 2 and mode = 'ShareLock' and granted \
         and pid = pg_backend_pid(); \
         select {last}; select nextval('{sequence}'::regclass); select {last}"
    ));
    let rows = lease.run(look, deadline).await?;
    let [locks, before, drawn, after] = &rows[..] else {
        return Err(Failure::Unreadable("the check of the server".to_owned()));
    };
    let number = |row: &PgRow| row.try_get::<i64, _>(0);
    let (listed, before, drawn, after) = (number(locks)?, number(before)?, number(drawn)?, number(after)?);
    let wrong = if listed != 1 {
        Some("pg_locks does not list an advisory lock that a transaction holds")
    } else if drawn <= before || after < drawn {
        Some("a sequence does not show the last value drawn from it")
    } else {
        None
    };
    Ok((wrong, locks.try_get(1)?))
}
