//! The traits between the store and the backends, which store its data.
//!
//! A backend stores and reads. The store does the rest: limits, checks, pages, groups, retries, deadlines and
//! subscriptions. [`crate::decision`] decides what an append means, from the facts that the backend reads.
//!
//! Every method runs in a task of the store and is polled to its end. At its `deadline` it returns `unavailable`, and
//! closes the connection it used instead of returning it to the pool.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use crate::diagnosis::Diagnosis;
use crate::error::Result;
use crate::request::{
    AppendRequest, AppendResult, ImportRequest, ImportResult, LogPage, LogPageRequest, SnapshotRecord, StreamPage,
    StreamPageRequest,
};

pub(crate) mod memory;
#[cfg(feature = "mongodb")]
pub(crate) mod mongodb;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

/// How long a lane waits for the callers that it has just answered, unless all are back before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gathering {
    /// How often it yields to other tasks.
    pub(crate) yields: usize,
    /// How long it sleeps after that.
    pub(crate) pause: Duration,
}

impl Gathering {
    pub(crate) const NONE: Self = Self { yields: 0, pause: Duration::ZERO };
}

/// Stores and reads the events of one namespace.
#[async_trait]
pub(crate) trait EventBackend: Any + Send + Sync + Debug {
    /// The number of lanes: how many groups of appends the store sends to this backend at the same time.
    fn lanes(&self) -> usize;

    /// How a lane waits, after it has answered a group, for the same callers to append again before it sends the next
    /// group. Short compared with the cost of a group; [`Gathering::NONE`] if waiting does not pay.
    fn gathering(&self) -> Gathering;

    /// Writes a group of appends, in one commit if possible, and answers each in the order given.
    ///
    /// Each append is written whole or not at all, and has its own answer: a refused append does not affect the others.
    /// A group holds one append to a stream, or several that all expect `any`. An acknowledged append is durable. If
    /// the connection is lost around the commit, the backend retries with the same ids until it knows the outcome. It
    /// refuses an append only if no earlier attempt can still change that. Past the deadline the answer is
    /// `unavailable`, with the outcome `unknown` if the append may have been sent.
    async fn append(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>>;

    /// Writes appends to one stream that [`Self::append`] answered with [`crate::error::Error::held_up`]. It runs in
    /// its own task, so no lane waits for it.
    async fn append_apart(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        self.append(group).await
    }

    /// Writes events that were recorded elsewhere, all of them or none, as [`crate::decision::decide_import`] decides.
    async fn import(&self, request: &ImportRequest) -> Result<ImportResult>;

    /// Reads one page of a stream, in one snapshot. The page of an absent stream is empty.
    async fn read_stream(&self, request: &StreamPageRequest) -> Result<StreamPage>;

    /// The version of a stream; 0 if it is absent. Reads no content.
    async fn stream_version(&self, stream: &str, deadline: Instant) -> Result<u64>;

    /// The id of the event at a version of a stream, whether or not its content was removed. Reads no content.
    async fn event_id(&self, stream: &str, version: u64, deadline: Instant) -> Result<Option<Uuid>>;

    /// Reads one page of the log, and looks at a bounded number of events.
    ///
    /// Once a page has returned an event or `reached`, no event with a smaller position ever appears. A page without
    /// events tells the highest position drawn so far.
    async fn read_log(&self, request: &LogPageRequest) -> Result<LogPage>;

    /// The position of the last committed event that is safe to read; 0 if there is none.
    async fn head(&self, deadline: Instant) -> Result<u64>;

    /// A number that changes whenever the log may have more to read, whichever process wrote. It must be cheap, because
    /// it is polled.
    async fn change_mark(&self, deadline: Instant) -> Result<u64>;

    /// Reports the state of the database, and which writers hold readers back. The store adds the last loss of its
    /// subscriptions.
    async fn diagnose(&self, deadline: Instant) -> Result<Diagnosis>;

    /// Returns when another process has probably written. It is only a hint and may never return. It may be dropped.
    async fn hinted(&self);

    /// Frees what belongs to this namespace only. No other method runs or follows.
    async fn close(&self);
}

/// Stores and reads the snapshots of one namespace.
#[async_trait]
pub(crate) trait SnapshotBackend: Send + Sync + Debug {
    /// Saves a snapshot. It replaces one of the same stream, schema and version, and no other.
    async fn save(&self, record: &SnapshotRecord, deadline: Instant) -> Result<()>;

    /// Loads the snapshot of a stream and schema with the highest version at or below `at_or_before`.
    async fn load(
        &self,
        stream: &str,
        schema: &str,
        at_or_before: u64,
        deadline: Instant,
    ) -> Result<Option<SnapshotRecord>>;
}

/// The backends of one open namespace.
#[derive(Clone, Debug)]
pub(crate) struct NamespaceBackends {
    pub events: Arc<dyn EventBackend>,
    pub snapshots: Arc<dyn SnapshotBackend>,
}

/// A database, with what its namespaces share, such as connections, a file or a listener.
#[async_trait]
pub(crate) trait DatabaseBackend: Send + Sync + Debug {
    /// Opens a namespace, and creates what is missing if `create` is set. Otherwise a missing namespace is a `config`
    /// error.
    async fn open_namespace(&self, name: &str, create: bool, deadline: Instant) -> Result<NamespaceBackends>;

    /// Frees connections and files. All namespaces are closed by then.
    async fn close(&self);
}
