//! The seams between the store and what keeps its data.
//!
//! A backend stores and reads; it decides nothing that has a meaning. Limits, validation, paging, grouping, retry of
//! what is safe to repeat, deadlines towards the caller and subscriptions are the store's. What an append means is
//! decided by [`crate::decision`], which a backend gives the facts.
//!
//! Every method runs in a task of the store's own and is always polled to its end; it ends by itself at its `deadline`
//! with `unavailable`, and then closes the connection it used instead of giving it back.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

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

/// Where events live.
#[async_trait]
pub(crate) trait EventBackend: Any + Send + Sync + Debug {
    /// How many groups of appends are worth having in flight at once.
    fn lanes(&self) -> usize;

    /// How long a lane waits at most for those it has just answered to come back before it sends the next group: little
    /// beside what a group costs. Zero where it need not.
    fn gathering(&self) -> Duration;

    /// Writes a group of appends, together where possible; answers each, in the order given.
    ///
    /// Each append is whole or absent, and answered for itself: one that is refused does not touch the others. In a
    /// group a stream stands once, or every time with `any`. Acknowledged means durable. When the connection dies
    /// around the commit, the append is repeated with the same ids until it is known what happened; a refusal answers
    /// only if it can no longer turn; past the append's deadline the answer is `unavailable` with outcome `unknown` if
    /// it may have been sent.
    async fn append(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>>;

    /// Writes what [`Self::append`] answered as held up: appends to one stream, on a task of their own that no lane
    /// waits for.
    async fn append_apart(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        self.append(group).await
    }

    /// Writes events recorded elsewhere, whole or not at all, as [`crate::decision::decide_import`] decides.
    async fn import(&self, request: &ImportRequest) -> Result<ImportResult>;

    /// Reads one page of a stream, from one snapshot. An absent stream is an empty page.
    async fn read_stream(&self, request: &StreamPageRequest) -> Result<StreamPage>;

    /// Reads one page of the log, looking at a bounded number of events.
    ///
    /// Once any page has shown an event or answered `reached`, no event with a smaller position ever appears. A page
    /// that finds no event says what the highest position is that was ever drawn.
    async fn read_log(&self, request: &LogPageRequest) -> Result<LogPage>;

    /// The position of the last committed event that is safe to read; 0 when there is none.
    async fn head(&self, deadline: Instant) -> Result<u64>;

    /// A number that is another one than before whenever the log may have more to read than before, whoever wrote it.
    /// Cheap: it is polled.
    async fn change_mark(&self, deadline: Instant) -> Result<u64>;

    /// Says how the database is, and who holds readers back. Knows nothing of subscriptions: without a last loss.
    async fn diagnose(&self, deadline: Instant) -> Result<Diagnosis>;

    /// Ends when somebody outside this store has probably written. Only a hint: it may never end. Safe to drop.
    async fn hinted(&self);

    /// Frees what belongs to this namespace alone. Nothing else runs on it any more.
    async fn close(&self);
}

/// Where snapshots live.
#[async_trait]
pub(crate) trait SnapshotBackend: Send + Sync + Debug {
    /// Keeps a snapshot; one of the same stream, schema and version is replaced, every other stays.
    async fn save(&self, record: &SnapshotRecord, deadline: Instant) -> Result<()>;

    /// The snapshot of a stream and schema with the highest version at or below `at_or_before`.
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

/// A database: what its namespaces share, such as connections, a file or a listener.
#[async_trait]
pub(crate) trait DatabaseBackend: Send + Sync + Debug {
    /// Opens a namespace; makes what is missing if `create` allows it. A missing namespace is else `config`.
    async fn open_namespace(&self, name: &str, create: bool, deadline: Instant) -> Result<NamespaceBackends>;

    /// Frees connections and files. All namespaces are closed.
    async fn close(&self);
}
