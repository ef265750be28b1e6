//! Lends the database's connections to one namespace, and checks that the namespace can still be used.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Row, SqlStr};
use tokio::time::Instant;

use super::error::Failure;
use super::format::{self, check_reader, check_writer};
use super::lease::Lease;
use super::names::{Identity, LockClass, Names, REGISTRY, safe};
use super::pool::Pool;
use super::server_check::ServerCheck;
use super::session::Checked;

/// How often a connection checks that its namespace is still the one that was opened, and that this library may read
/// and write it. A migration by a newer library stops older writers within this time.
const CHECK: Duration = Duration::from_secs(5);

/// The connection pool, as one namespace uses it.
#[derive(Debug)]
pub(super) struct NamespacePool {
    pool: Arc<Pool>,
    names: Names,
    identity: Identity,
    check: SqlStr,
    server: Arc<ServerCheck>,
}

impl NamespacePool {
    pub(super) fn new(pool: Arc<Pool>, names: Names, identity: Identity, server: Arc<ServerCheck>) -> Self {
        let check = safe(format!(
            "select class, epoch::text, format, min_reader, min_writer from {REGISTRY}.namespaces where name = '{}'",
            identity.namespace
        ));
        Self { pool, names, identity, check, server }
    }

    /// Borrows a connection for a write.
    pub(super) async fn lease(&self, deadline: Instant) -> Result<Lease, Failure> {
        let mut lease = self.checked(deadline).await?;
        let read_only = lease.checked(&self.identity.namespace).and_then(|checked| checked.read_only.clone());
        if let Some(reason) = read_only {
            return Err(Failure::Setup(reason));
        }
        self.server.before_writing(&mut lease, &self.names, deadline).await?;
        Ok(lease)
    }

    /// Borrows a connection for a read. If the connection was idle, its first statement has a shorter time limit and
    /// can fail with [`Failure::Lost`].
    pub(super) async fn lease_to_read(&self, deadline: Instant) -> Result<Lease, Failure> {
        let mut lease = self.checked(deadline).await?;
        lease.expect_read();
        Ok(lease)
    }

    async fn checked(&self, deadline: Instant) -> Result<Lease, Failure> {
        loop {
            let mut lease = self.pool.lease(deadline).await?;
            let known = lease.checked(&self.identity.namespace);
            if known.is_some_and(|checked| checked.at.elapsed() < CHECK) {
                return Ok(lease);
            }
            lease.expect_read();
            match self.check(&mut lease, deadline).await {
                Ok(checked) => {
                    lease.set_checked(&self.identity.namespace, checked);
                    return Ok(lease);
                }
                // The idle connection was dead. The loss has emptied the pool, so the next one is new.
                Err(Failure::Lost(_)) if lease.was_idle => {}
                Err(failure) => return Err(failure.before_sending()),
            }
        }
    }

    async fn check(&self, lease: &mut Lease, deadline: Instant) -> Result<Checked, Failure> {
        let rows = lease.run(self.check.clone(), deadline).await?;
        let found = rows.first().map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get::<String, _>(1)?)));
        let same = found.transpose()?.is_some_and(|(class, epoch)| {
            LockClass(class) == self.identity.class && epoch == self.identity.epoch.to_string()
        });
        let Some(row) = rows.first().filter(|_| same) else {
            return Err(Failure::Setup(format!(
                "namespace '{}' was dropped or replaced since this store opened it: close every store on it, and open it again",
                self.identity.namespace
            )));
        };
        let format = format::read(row, 2)?;
        check_reader(format)?;
        Ok(Checked { at: Instant::now(), read_only: check_writer(format).err().map(|failure| failure.to_string()) })
    }
}
