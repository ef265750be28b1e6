//! An open file: the connections that all its namespaces share.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::time::{Instant, timeout_at};

use super::connect::{connect, connect_options};
use super::error::Failure;
#[cfg(unix)]
use super::fork;
use super::identity::Identity;
use super::inherited::OpenFile;
use super::pool::Pool;
use super::schema;
use crate::error::{Error, Result};

/// One file: one connection that writes, and a pool of connections that read.
#[derive(Debug)]
pub(super) struct SqliteFile {
    pub(super) writer: Pool,
    pub(super) readers: Pool,
    pub(super) identity: Arc<Identity>,
    /// A connection that only stays open, so that SQLite keeps the `-wal` and `-shm` files until the file is closed.
    pub(super) anchor: Mutex<Option<SqliteConnection>>,
    /// Dropped when no connection is left.
    pub(super) held: Mutex<Option<OpenFile>>,
}

impl SqliteFile {
    /// Opens a file, and prepares its first namespace on the new connection.
    pub(super) async fn open(
        file: &Path,
        namespace: &str,
        create: bool,
        max_connections: u32,
        deadline: Instant,
    ) -> Result<Self> {
        // Before SQLite opens the file: in a forked child that alone can damage it. No process has a file open that
        // does not exist yet.
        let held = file.exists().then(|| OpenFile::new(file)).transpose()?;
        let options = connect_options(file);
        let mut connection =
            connect(&options.clone().create_if_missing(create), deadline).await.map_err(Failure::at_open)?;
        #[cfg(unix)]
        fork::prepare();
        prepare(&mut connection, namespace, create, deadline).await?;
        let held = held.map_or_else(|| OpenFile::new(file), Ok)?;
        let identity = Arc::new(Identity::note(file, &options)?);
        let readers = usize::try_from(max_connections).map_or(1, |connections| connections.saturating_sub(1).max(1));
        Ok(Self {
            writer: Pool::new(options.clone(), Arc::clone(&identity), 1),
            readers: Pool::new(options, Arc::clone(&identity), readers),
            identity,
            anchor: Mutex::new(Some(connection)),
            held: Mutex::new(Some(held)),
        })
    }

    /// Prepares another namespace, on the connection that writes. A connection that fails is closed.
    pub(super) async fn prepare(&self, namespace: &str, create: bool, deadline: Instant) -> Result<()> {
        let mut lease = self.writer.lease(deadline).await.map_err(Failure::at_open)?;
        prepare(&mut lease.connection, namespace, create, deadline).await?;
        lease.give_back();
        Ok(())
    }

    /// Closes all connections.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        let anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut anchor) = anchor {
            // Best effort: what stays in the WAL is as safe there.
            let _ = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut anchor).await;
            let _ = anchor.close().await;
        }
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

async fn prepare(connection: &mut SqliteConnection, namespace: &str, create: bool, deadline: Instant) -> Result<()> {
    let prepared = timeout_at(deadline, schema::prepare(connection, namespace, create)).await;
    prepared.map_err(|_| Error::from(Failure::late()))?
}
