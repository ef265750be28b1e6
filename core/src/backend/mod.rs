//! The seams between the store and what keeps its data.
//!
//! A backend stores and reads; it decides nothing that has a meaning. Limits, validation, paging, grouping, retry of what is safe
//! to repeat, deadlines towards the caller and subscriptions are the store's. What an append means is decided by
//! [`crate::decision`], which a backend gives the facts.
//!
//! Every method runs in a task of the store's own and is always polled to its end; it ends by itself at its `deadline` with
//! `unavailable`, and then closes the connection it used instead of giving it back.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::Result;
use crate::event::{Event, ImportEvent, Payload, RecordedEvent};
use crate::position::Direction;
use crate::query::Query;
use crate::version::ExpectedVersion;

pub(crate) mod memory;
#[cfg(feature = "mongodb")]
pub(crate) mod mongodb;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

/// One append: checked, with its deadline.
#[derive(Clone, Debug)]
pub(crate) struct AppendRequest {
    pub stream: String,
    pub expected: ExpectedVersion,
    /// At least one; ids differ from each other.
    pub events: Arc<[Event]>,
    pub deadline: Instant,
}

/// Where an append's last event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub version: u64,
    pub position: u64,
    /// The events were known already: this is the first append's answer.
    pub repeated: bool,
}

/// Up to 1,000 events recorded elsewhere, written whole or not at all, in the order given.
#[derive(Clone, Debug)]
pub(crate) struct ImportRequest {
    pub events: Arc<[ImportEvent]>,
    pub deadline: Instant,
}

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Imported {
    pub imported: u64,
    pub passed_over: u64,
    /// Of the last event given.
    pub position: u64,
}

/// One page of a stream; both bounds inclusive, lowest and highest in either direction.
#[derive(Clone, Debug)]
pub(crate) struct StreamPageRequest {
    pub stream: String,
    pub from_version: u64,
    pub to_version: u64,
    pub direction: Direction,
    pub max_events: usize,
    /// The page ends before the event that would exceed this, but holds at least one.
    pub max_bytes: usize,
    pub deadline: Instant,
}

/// A page of a stream, in the direction asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamPage {
    pub events: Vec<RecordedEvent>,
    /// Nothing follows within the bounds.
    pub end: bool,
}

/// One page of the log; both bounds exclusive.
#[derive(Clone, Debug)]
pub(crate) struct LogPageRequest {
    pub after: u64,
    pub before: Option<u64>,
    pub query: Arc<Query>,
    pub direction: Direction,
    pub max_events: usize,
    /// The page ends before the event that would exceed this, but holds at least one.
    pub max_bytes: usize,
    pub deadline: Instant,
}

/// A page of the log, in the direction asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogPage {
    pub events: Vec<RecordedEvent>,
    /// How far the page got. Forward: every event above `after` and at or below it that matches is in the page, no event at or below it
    /// will ever appear later, and it is `after` or the position of a committed event. Backward: the same, downwards from `before`.
    pub reached: u64,
    /// Forward: nothing committed and safe to read lies above `reached` (below `before`). Backward: nothing lies below it.
    pub caught_up: bool,
    /// The highest position ever drawn, when the page had to ask; a cursor above it comes from another log.
    pub drawn: Option<u64>,
}

/// Where events live.
#[async_trait]
pub(crate) trait EventBackend: Send + Sync + Debug {
    /// How many groups of appends are worth having in flight at once.
    fn lanes(&self) -> usize;

    /// How long a lane waits at most for those it has just answered to come back before it sends the next group: little beside what a group costs. Zero where it need not.
    fn gathering(&self) -> Duration;

    /// Writes a group of appends, together where possible; answers each, in the order given.
    ///
    /// Each append is whole or absent, and answered for itself: one that is refused does not touch the others. In a group a stream stands once, or every time with
    /// `any`. Acknowledged means durable. When the connection dies around the commit, the append is repeated with the same
    /// ids until it is known what happened; a refusal answers only if it can no longer turn; past the append's deadline the
    /// answer is `unavailable` with outcome `unknown` if it may have been sent.
    async fn append(&self, group: &[AppendRequest]) -> Vec<Result<Appended>>;

    /// Writes events recorded elsewhere, whole or not at all, as [`crate::decision::decide_import`] decides.
    async fn import(&self, request: &ImportRequest) -> Result<Imported>;

    /// Reads one page of a stream, from one snapshot. An absent stream is an empty page.
    async fn read_stream(&self, request: &StreamPageRequest) -> Result<StreamPage>;

    /// Reads one page of the log, looking at a bounded number of events.
    ///
    /// Once any page has shown an event or answered `reached`, no event with a smaller position ever appears.
    async fn read_log(&self, request: &LogPageRequest) -> Result<LogPage>;

    /// The position of the last committed event that is safe to read; 0 when there is none.
    async fn head(&self, deadline: Instant) -> Result<u64>;

    /// A number that is another one than before whenever the log may have more to read than before, whoever wrote it. Cheap: it is polled.
    async fn change_mark(&self, deadline: Instant) -> Result<u64>;

    /// Ends when somebody outside this store has probably written. Only a hint: it may never end. Safe to drop.
    async fn hinted(&self);

    /// Frees connections and files. Nothing else runs any more.
    async fn close(&self);
}

/// A snapshot as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotRecord {
    pub stream: String,
    pub schema: String,
    pub version: u64,
    /// The id of the event at `version`, by which a snapshot of another history is recognised.
    pub event_id: Uuid,
    /// Over everything else, made and checked by [`crate::snapshot`].
    pub checksum: u32,
    pub data: Payload,
}

/// Where snapshots live.
#[async_trait]
pub(crate) trait SnapshotBackend: Send + Sync + Debug {
    /// Keeps a snapshot; one of the same stream, schema and version is replaced, every other stays.
    async fn save(&self, record: &SnapshotRecord, deadline: Instant) -> Result<()>;

    /// The snapshot of a stream and schema with the highest version at or below `at_or_before`.
    async fn load(&self, stream: &str, schema: &str, at_or_before: u64, deadline: Instant) -> Result<Option<SnapshotRecord>>;
}

/// What opening a backend gives.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub events: Arc<dyn EventBackend>,
    pub snapshots: Arc<dyn SnapshotBackend>,
    /// For `append_in`, which needs the driver's own transaction.
    #[cfg(feature = "postgres")]
    pub postgres: Option<Arc<postgres::Postgres>>,
}
