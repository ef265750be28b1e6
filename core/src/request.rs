//! What the store and its backends exchange: requests, pages, records and results.

use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::event::{Event, ImportEvent, Payload, RecordedEvent};
use crate::position::Direction;
use crate::query::Query;
use crate::version::ExpectedVersion;

/// One append, already checked.
#[derive(Clone, Debug)]
pub(crate) struct AppendRequest {
    pub stream: String,
    pub expected: ExpectedVersion,
    /// At least one. No id occurs twice.
    pub events: Arc<[Event]>,
    pub deadline: Instant,
}

/// The result of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppendResult {
    /// The stream's version after the append.
    pub version: u64,
    /// The position of the last event. Do not use it as a cursor: an event with a smaller position can still be
    /// uncommitted.
    pub position: u64,
    /// Whether the same events were appended before. The result is then the one of that time.
    pub repeated: bool,
}

/// Up to 1,000 events that were recorded elsewhere. All of them are written, in the order given, or none.
#[derive(Clone, Debug)]
pub(crate) struct ImportRequest {
    pub events: Arc<[ImportEvent]>,
    pub deadline: Instant,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportResult {
    /// Events written.
    pub imported: u64,
    /// Events that were stored already, with the same content.
    pub passed_over: u64,
    /// The position of the last event given; 0 if none was given.
    pub position: u64,
}

/// A request for one page of a stream. Both bounds are inclusive: the lowest and the highest version in both
/// directions.
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

/// A page of a stream, in the requested direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamPage {
    pub events: Vec<RecordedEvent>,
    /// Whether nothing follows within the bounds.
    pub end: bool,
}

/// A request for one page of the log. Both bounds are exclusive.
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

/// A page of the log, in the requested direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogPage {
    pub events: Vec<RecordedEvent>,
    /// How far the page looked. Forward: the page has every matching event above `after` up to and including `reached`,
    /// no event will ever appear there later, and `reached` is `after` or the position of a committed event. Backward:
    /// the same, downwards from `before`.
    pub reached: u64,
    /// Forward: whether nothing that is committed and safe to read is above `reached` (and below `before`). Backward:
    /// whether nothing is below it.
    pub caught_up: bool,
    /// The highest position ever drawn. Given by every page without events that does not get further: a cursor above it
    /// comes from another log.
    pub drawn: Option<u64>,
}

impl LogPage {
    /// Refuses a page of another history, and one that would be asked for again without end.
    ///
    /// # Errors
    /// `checkpoint-ahead` if the page begins above all that was ever drawn; `internal` if it is neither further nor
    /// caught up.
    pub(crate) fn checked(self, request: &LogPageRequest) -> Result<Self> {
        if let Some(drawn) = self.drawn.filter(|drawn| request.after > *drawn) {
            return Err(Error::checkpoint_ahead(request.after, drawn));
        }
        let further = match request.direction {
            Direction::Forward => self.reached > request.after,
            Direction::Backward => request.before.is_none_or(|before| self.reached < before),
        };
        if !further && !self.caught_up {
            return Err(Error::internal(format!("a page of the log after {} got nowhere", request.after)));
        }
        Ok(self)
    }
}

/// A stored snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotRecord {
    pub stream: String,
    pub schema: String,
    pub version: u64,
    /// The id of the event at `version`. A snapshot of another history has another id there.
    pub event_id: Uuid,
    /// A checksum of all other fields, made and checked by [`crate::snapshot`].
    pub checksum: u32,
    pub data: Payload,
}
