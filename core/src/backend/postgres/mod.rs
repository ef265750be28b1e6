//! Postgres: many processes, one log, no lock between writers.
//!
//! A writer announces, before it draws positions from the sequence, above which floor it is about to draw, by a shared lock that it holds to its end; a reader of
//! the log goes no farther than the lowest floor announced. [`names`] holds the statements, [`append`] and [`careful`] the writing, [`horizon`] the reading's side of it.

mod append;
mod careful;
mod connect;
mod error;
mod horizon;
mod import;
mod listen;
mod names;
mod pool;
mod read;
mod row;
mod schema;
mod snapshot;
mod transaction;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use self::connect::Connector;
use self::horizon::Known;
use self::listen::Listener;
use self::names::{LockClass, Names, Statements};
use self::pool::Pool;
use super::{
    AppendRequest, Appended, EventBackend, ImportRequest, Imported, LogPage, LogPageRequest, Opened, SnapshotBackend, SnapshotRecord, StreamPage,
    StreamPageRequest,
};
use crate::error::Result;
use crate::store::OpenOptions;

/// One builds its statement while the other's commit is on its way to the disk; more only compete.
const LANES: usize = 2;

/// Opens a namespace of a Postgres database; makes what is missing, if that is allowed.
pub(crate) async fn open(location: &str, parameters: &[(String, String)], options: &OpenOptions) -> Result<Opened> {
    let names = Names::new(&options.namespace)?;
    let pool = Pool::new(Connector::new(location, parameters, options)?, options.max_connections);
    let deadline = Instant::now() + options.timeout;
    let identity = schema::open(&pool, &names, options, deadline).await?;
    // Set once, here: every later connection must find the same namespace.
    let _ = pool.connector.identity.set(identity.clone());
    let listener = Listener::new(pool.connector.options(), &names);
    let postgres = Arc::new(Postgres {
        statements: Statements::new(&names, &identity, options.durability),
        names,
        class: identity.class,
        pool,
        known: Known::default(),
        listener,
        timeout: options.timeout,
    });
    Ok(Opened { events: Arc::<Postgres>::clone(&postgres), snapshots: Arc::<Postgres>::clone(&postgres), postgres: Some(postgres) })
}

/// One namespace of a Postgres database.
pub(crate) struct Postgres {
    names: Names,
    class: LockClass,
    statements: Statements,
    pool: Pool,
    known: Known,
    listener: Listener,
    timeout: Duration,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("namespace", &self.names.namespace).finish_non_exhaustive()
    }
}

#[async_trait]
impl EventBackend for Postgres {
    fn lanes(&self) -> usize {
        LANES
    }

    fn gathering(&self) -> Duration {
        Duration::ZERO
    }

    async fn append(&self, group: &[AppendRequest]) -> Vec<Result<Appended>> {
        let answers = self.append_group(group).await;
        if answers.iter().flatten().any(|appended| !appended.repeated) {
            self.listener.notify();
        }
        answers
    }

    async fn import(&self, request: &ImportRequest) -> Result<Imported> {
        let imported = self.import_whole(request).await?;
        if imported.imported > 0 {
            self.listener.notify();
        }
        Ok(imported)
    }

    async fn read_stream(&self, request: &StreamPageRequest) -> Result<StreamPage> {
        self.page_of_stream(request).await
    }

    async fn read_log(&self, request: &LogPageRequest) -> Result<LogPage> {
        self.page_of_log(request).await
    }

    async fn head(&self, deadline: Instant) -> Result<u64> {
        self.head_of_log(deadline).await
    }

    async fn change_mark(&self, deadline: Instant) -> Result<u64> {
        self.mark_of_change(deadline).await
    }

    async fn hinted(&self) {
        self.listener.hinted().await;
    }

    async fn close(&self) {
        self.listener.close().await;
        self.pool.close().await;
    }
}

#[async_trait]
impl SnapshotBackend for Postgres {
    async fn save(&self, record: &SnapshotRecord, deadline: Instant) -> Result<()> {
        self.save_snapshot(record, deadline).await
    }

    async fn load(&self, stream: &str, schema: &str, at_or_before: u64, deadline: Instant) -> Result<Option<SnapshotRecord>> {
        self.load_snapshot(stream, schema, at_or_before, deadline).await
    }
}
