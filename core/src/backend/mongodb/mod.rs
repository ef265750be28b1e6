//! MongoDB: one document for each event, and one for the head of the log. Every writer changes the head, so writers
//! take turns.
//!
//! A group of appends is one transaction, which changes the log's head first ([`transaction`]). Readers read up to the
//! position in the head ([`read`]).

mod abandoned;
mod append;
mod candidates;
mod connect;
mod diagnose;
mod document;
mod error;
mod format;
mod heads;
mod import;
mod json;
mod names;
mod query;
mod read;
mod schema;
mod server_check;
mod snapshot;
mod transaction;
mod watch;
mod words;
mod work;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use uuid::Uuid;

use self::abandoned::Writers;
use self::connect::{Connected, connect, write_concern};
use self::error::Failure;
use self::format::{Connections, FormatCheck};
use self::names::Names;
use self::server_check::ServerCheck;
use self::watch::{Hints, Watcher};
use self::work::Work;
use self::writer::Writer;
use super::{DatabaseBackend, EventBackend, Gathering, NamespaceBackends, SnapshotBackend};
use crate::diagnosis::Diagnosis;
use crate::error::Result;
use crate::options::OpenOptions;
use crate::request::{
    AppendRequest, AppendResult, ImportRequest, ImportResult, LogPage, LogPageRequest, SnapshotRecord, StreamPage,
    StreamPageRequest,
};

/// All transactions of a namespace change the log's head, so the server would refuse a second one at the same time.
const LANES: usize = 1;
/// A transaction costs several times as much, and most of its cost does not depend on its size.
const GATHERING: Gathering = Gathering { yields: 256, pause: Duration::from_millis(1) };

/// Reads the location of a MongoDB database. Connections are made when a namespace is opened.
pub(crate) fn open(
    address: &str,
    parameters: &[(String, String)],
    options: &OpenOptions,
) -> Result<Arc<dyn DatabaseBackend>> {
    let (address, parameters) = (address.to_owned(), parameters.to_vec());
    Ok(Arc::new(MongoDatabase { address, parameters, options: options.clone(), connected: OnceCell::new() }))
}

/// A MongoDB database, and how to connect to it.
struct MongoDatabase {
    address: String,
    parameters: Vec<(String, String)>,
    options: OpenOptions,
    connected: OnceCell<Shared>,
}

/// What the namespaces of a database share: one client, and one change stream.
struct Shared {
    database: mongodb::Database,
    work: Arc<Work>,
    watcher: Arc<Watcher>,
    connections: Connections,
    server: Arc<ServerCheck>,
}

/// The address holds the password.
impl fmt::Debug for MongoDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoDatabase").finish_non_exhaustive()
    }
}

impl MongoDatabase {
    async fn connect(&self) -> Result<Shared> {
        let Connected { client, options, database, connections } =
            connect(&self.address, &self.parameters, &self.options).await?;
        Ok(Shared {
            database: client.database(&database),
            work: Arc::new(Work::new(client, self.options.max_connections)),
            watcher: Watcher::new(options, &database),
            connections,
            server: Arc::default(),
        })
    }
}

#[async_trait]
impl DatabaseBackend for MongoDatabase {
    async fn open_namespace(&self, name: &str, create: bool, deadline: Instant) -> Result<NamespaceBackends> {
        let shared = self.connected.get_or_try_init(|| self.connect()).await?;
        let options = self.options.clone().namespace(name).create(create);
        let names = Names::new(name, shared.database.clone());
        let epoch = schema::open(&shared.work, &names, &options, &shared.server, deadline).await?;
        let mongo = Arc::new(Mongo {
            hints: shared.watcher.hints(names.events.name()),
            writer: Arc::new(Writer {
                names,
                epoch,
                write_concern: write_concern(options.durability),
                writers: Writers::default(),
            }),
            format: Arc::new(FormatCheck::new(shared.connections.clone())),
            work: Arc::clone(&shared.work),
            server: Arc::clone(&shared.server),
        });
        Ok(NamespaceBackends { events: Arc::<Mongo>::clone(&mongo), snapshots: mongo })
    }

    async fn close(&self) {
        if let Some(shared) = self.connected.get() {
            shared.watcher.close().await;
            shared.work.close().await;
        }
    }
}

/// One namespace of a MongoDB database.
pub(crate) struct Mongo {
    writer: Arc<Writer>,
    format: Arc<FormatCheck>,
    work: Arc<Work>,
    hints: Hints,
    server: Arc<ServerCheck>,
}

impl fmt::Debug for Mongo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mongo").field("namespace", &self.writer.names.namespace).finish_non_exhaustive()
    }
}

impl Mongo {
    /// Checks the server before the first write, if it was not checked at open.
    async fn before_writing(&self, deadline: Instant) -> std::result::Result<(), Failure> {
        if self.server.has_passed() {
            return Ok(());
        }
        let (server, names) = (Arc::clone(&self.server), self.writer.names.clone());
        let check = |mut session| async move { server.before_writing(&names, &mut session, deadline).await };
        self.work.run(deadline, check).await
    }
}

#[async_trait]
impl EventBackend for Mongo {
    fn lanes(&self) -> usize {
        LANES
    }

    fn gathering(&self) -> Gathering {
        GATHERING
    }

    async fn append(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        self.append_group(group).await
    }

    async fn import(&self, request: &ImportRequest) -> Result<ImportResult> {
        self.import_events(request).await
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
        self.log_head(deadline).await
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
impl SnapshotBackend for Mongo {
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
