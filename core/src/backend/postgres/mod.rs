//! The Postgres backend: many processes append to one log, and no writer locks out another.
//!
//! A writer takes a shared advisory lock before it draws positions from the sequence, and holds it until its
//! transaction ends. The lock's key is the sequence's last value at that moment, the floor: the writer draws only above
//! it. This lock is the writer's announcement. A reader stops at the lowest announced floor, the horizon. [`names`] has
//! the SQL statements, [`append`] and [`attempt`] write, and [`horizon`] limits the readers.

mod append;
mod attempt;
mod batch;
#[cfg(streamkeep_faults)]
mod bugs;
mod candidates;
mod connect;
mod diagnose;
mod doubt;
mod error;
mod facts;
mod format;
mod horizon;
mod hot;
mod idle;
mod import;
mod lease;
mod listen;
mod names;
mod namespace;
mod passfile;
mod pool;
mod pooler;
mod query;
mod read;
mod row;
mod schema;
mod secret;
mod server_check;
mod session;
mod snapshot;
mod together;
mod transaction;
mod url;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use uuid::Uuid;

use self::append::Share;
use self::connect::Connector;
use self::horizon::Known;
use self::hot::HotStreams;
use self::listen::{Hints, Listener};
use self::names::{LockClass, Names, Statements};
use self::namespace::NamespacePool;
use self::pool::Pool;
use self::server_check::ServerCheck;
use self::together::Together;
use super::{DatabaseBackend, EventBackend, Gathering, NamespaceBackends, SnapshotBackend};
use crate::diagnosis::Diagnosis;
use crate::error::Result;
use crate::options::OpenOptions;
use crate::request::{
    AppendRequest, AppendResult, ImportRequest, ImportResult, LogPage, LogPageRequest, SnapshotRecord, StreamPage,
    StreamPageRequest,
};

/// How many groups of appends one store sends at a time. One lane builds its statement while the other waits for its
/// commit; more lanes only compete.
const LANES: usize = 2;

/// Reads the URL and the options. Connections are made when a namespace is opened.
pub(crate) fn open(
    address: &str,
    parameters: &[(String, String)],
    options: &OpenOptions,
) -> Result<Arc<dyn DatabaseBackend>> {
    let connector = Connector::new(url::target(address, parameters, options)?, options);
    let listener = Listener::new(options.pooler.is_none().then(|| connector.options()));
    Ok(Arc::new(PostgresDatabase {
        pool: Arc::new(Pool::new(connector, options.max_connections)),
        listener,
        options: options.clone(),
        connected: OnceCell::new(),
        server: Arc::default(),
    }))
}

/// A Postgres database, with the connections that its namespaces share.
struct PostgresDatabase {
    pool: Arc<Pool>,
    listener: Arc<Listener>,
    options: OpenOptions,
    /// Set once the first connection was made and found usable.
    connected: OnceCell<()>,
    server: Arc<ServerCheck>,
}

/// Shows no field: the options hold the password.
impl fmt::Debug for PostgresDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDatabase").finish_non_exhaustive()
    }
}

#[async_trait]
impl DatabaseBackend for PostgresDatabase {
    async fn open_namespace(&self, name: &str, create: bool, deadline: Instant) -> Result<NamespaceBackends> {
        let names = Names::new(name)?;
        self.connected.get_or_try_init(|| self.pool.connect_first(deadline)).await?;
        let identity = schema::open(&self.pool, &names, create, &self.server, deadline).await?;
        let postgres = Arc::new(Postgres {
            statements: Statements::new(&names, &identity, &self.options),
            class: identity.class,
            hints: self.listener.hints(&names),
            pool: NamespacePool::new(Arc::clone(&self.pool), names.clone(), identity, Arc::clone(&self.server)),
            names,
            known: Known::default(),
            hot: HotStreams::default(),
            together: Together::new(0),
            share: Share::of(self.options.max_connections),
        });
        Ok(NamespaceBackends { events: Arc::<Postgres>::clone(&postgres), snapshots: postgres })
    }

    async fn close(&self) {
        self.listener.close().await;
        self.pool.close().await;
    }
}

/// One namespace of a Postgres database.
pub(crate) struct Postgres {
    names: Names,
    class: LockClass,
    statements: Statements,
    pool: NamespacePool,
    known: Known,
    hot: HotStreams,
    together: Together,
    share: Share,
    hints: Hints,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("namespace", &self.names.namespace).finish_non_exhaustive()
    }
}

impl Postgres {
    /// Notifies other stores of appends. A repeated append notifies too: the client that wrote it may have died before
    /// it notified.
    fn hint_at(&self, answers: Vec<Result<AppendResult>>) -> Vec<Result<AppendResult>> {
        if answers.iter().any(Result::is_ok) {
            self.hints.notify();
        }
        answers
    }
}

#[async_trait]
impl EventBackend for Postgres {
    fn lanes(&self) -> usize {
        LANES
    }

    fn gathering(&self) -> Gathering {
        Gathering::NONE
    }

    async fn append(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        self.hint_at(self.append_group(group).await)
    }

    async fn append_apart(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        self.hint_at(self.append_outside_lanes(group).await)
    }

    async fn import(&self, request: &ImportRequest) -> Result<ImportResult> {
        let imported = self.import_events(request).await?;
        if imported.imported + imported.passed_over > 0 {
            self.hints.notify();
        }
        Ok(imported)
    }

    async fn read_stream(&self, request: &StreamPageRequest) -> Result<StreamPage> {
        self.stream_page(request).await
    }

    async fn stream_version(&self, stream: &str, deadline: Instant) -> Result<u64> {
        self.version_of(stream, deadline).await
    }

    async fn event_id(&self, stream: &str, version: u64, deadline: Instant) -> Result<Option<Uuid>> {
        self.stored_id(stream, version, deadline).await
    }

    async fn read_log(&self, request: &LogPageRequest) -> Result<LogPage> {
        self.log_page(request).await
    }

    async fn head(&self, deadline: Instant) -> Result<u64> {
        self.log_head(deadline).await
    }

    async fn change_mark(&self, deadline: Instant) -> Result<u64> {
        self.log_change_mark(deadline).await
    }

    async fn diagnose(&self, deadline: Instant) -> Result<Diagnosis> {
        self.read_diagnosis(deadline).await
    }

    async fn hinted(&self) {
        self.hints.hinted().await;
    }

    /// The connections are the database's.
    async fn close(&self) {
        self.hints.close();
    }
}

#[async_trait]
impl SnapshotBackend for Postgres {
    async fn save(&self, record: &SnapshotRecord, deadline: Instant) -> Result<()> {
        self.save_snapshot(record, deadline).await
    }

    async fn load(
        &self,
        stream: &str,
        schema: &str,
        at_or_before: u64,
        deadline: Instant,
    ) -> Result<Option<SnapshotRecord>> {
        self.load_snapshot(stream, schema, at_or_before, deadline).await
    }
}
