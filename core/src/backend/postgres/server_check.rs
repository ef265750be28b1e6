//! Whether the server does what the order of the log relies on.
//!
//! Other servers speak the protocol of Postgres, and some take no lock when an advisory lock is asked for, or list none.
//! With them the log would lose its order, without an error. So an announcement's lock is taken and looked for, and a
//! position is drawn and looked for, by the statements that writers and readers use.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio::time::Instant;

use super::error::Failure;
use super::lease::Lease;
use super::names::{BEGIN, Names, REGISTRY, safe};

/// The lock class of the check: not one of a namespace, which are multiples of 4 with their conditions and gates.
const CLASS: i32 = 0x7374_7267;
/// The sequence of the check, in the schema that every database with a store in it has.
pub(super) const SEQUENCE: &str = "server_check";

/// Done once for a database.
#[derive(Debug, Default)]
pub(super) struct ServerCheck {
    passed: AtomicBool,
}

impl ServerCheck {
    /// At open: checks the server, if this role can draw from the sequence that is for that.
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
            // Set read-only: it can be read, and the first write is checked.
            Err(Failure::Stopped { .. }) => Ok(()),
            other => other,
        }
    }

    /// Before the first write: checks the server, if nobody could at open. A position of the namespace is drawn, and
    /// stays a gap.
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
                "the server does not keep what the order of the log relies on: {wrong}; it calls itself {version}"
            ))),
            None => {
                self.passed.store(true, Ordering::Release);
                Ok(())
            }
        }
    }
}

/// What is wrong, if anything, and what the server calls itself.
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
        Some("an advisory lock that a transaction has taken is not listed in pg_locks")
    } else if drawn <= before || after < drawn {
        Some("a sequence does not show the last value that was drawn from it")
    } else {
        None
    };
    Ok((wrong, locks.try_get(1)?))
}
