//! An open file, with the connections that all its namespaces share.

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
use super::joint::{self, JointWrites};
use super::pool::Pool;
use super::schema;
use crate::error::{Error, Result};

/// An open file: one connection that writes, and a pool of connections that read.
#[derive(Debug)]
pub(super) struct SqliteFile {
    pub(super) writer: Pool,
    pub(super) readers: Pool,
    pub(super) identity: Arc<Identity>,
    pub(super) joint_writes: JointWrites,
    /// A connection that stays open and unused, so that SQLite keeps the `-wal` and `-shm` files until the file is
    /// closed.
    pub(super) anchor: Mutex<Option<SqliteConnection>>,
    /// The file's entry in the list of open files. It is dropped after the last connection.
    pub(super) open_file: Mutex<Option<OpenFile>>,
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
        // This check comes before SQLite opens the file, because in a forked child even that can damage it. A file that
        // does not exist yet cannot be open.
        let open_file = file.exists().then(|| OpenFile::new(file)).transpose()?;
        let options = connect_options(file);
        let mut connection =
            connect(&options.clone().create_if_missing(create), deadline).await.map_err(Failure::at_open)?;
        #[cfg(unix)]
        fork::prepare();
        in_time(deadline, schema::prepare(&mut connection, namespace, create)).await?;
        let open_file = open_file.map_or_else(|| OpenFile::new(file), Ok)?;
        let identity = Arc::new(Identity::record(file, &options)?);
        let readers = usize::try_from(max_connections).map_or(1, |connections| connections.saturating_sub(1).max(1));
        Ok(Self {
            writer: Pool::new(options.clone(), Arc::clone(&identity), 1),
            readers: Pool::new(options, Arc::clone(&identity), readers),
            identity,
            joint_writes: joint::writes(),
            anchor: Mutex::new(Some(connection)),
            open_file: Mutex::new(Some(open_file)),
        })
    }

    /// Prepares another namespace. Only one that is missing waits for the connection that writes. A connection on which
    /// this fails is closed.
    pub(super) async fn prepare(&self, namespace: &str, create: bool, deadline: Instant) -> Result<()> {
        let mut reader = self.readers.lease(deadline).await.map_err(Failure::at_open)?;
        let prepared = in_time(deadline, schema::is_prepared(&mut reader.connection, namespace)).await?;
        reader.give_back();
        if prepared {
            return Ok(());
        }
        if !create {
            return Err(schema::missing(namespace));
        }
        let mut writer = self.writer.lease(deadline).await.map_err(Failure::at_open)?;
        in_time(deadline, schema::prepare(&mut writer.connection, namespace, create)).await?;
        writer.give_back();
        Ok(())
    }

    /// Closes all connections.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        let anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut anchor) = anchor {
            // An error does no harm: events in the WAL are as durable as in the file.
            let _ = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut anchor).await;
            let _ = anchor.close().await;
        }
        self.open_file.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

async fn in_time<T>(deadline: Instant, work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout_at(deadline, work).await.map_err(|_| Error::from(Failure::late()))?
}
