//! Appending and importing.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use super::EventStore;
use crate::backend::{AppendRequest, ImportRequest};
use crate::error::{Error, Outcome, Result};
use crate::event::{Event, ImportEvent};
use crate::limits::{GROUP_BYTES, IMPORT_CHUNK_EVENTS, MAX_APPEND_BYTES, MAX_APPEND_EVENTS};
use crate::options::AppendOptions;
use crate::stream::check_stream;
use crate::value::check_event;

/// Where an append's last event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppendResult {
    /// The stream's version after the append.
    pub version: u64,
    /// The position of the last event. Not a cursor: an event with a smaller position may still be on its way.
    pub position: u64,
    /// The same events were appended before, and this is the first append's answer.
    pub repeated: bool,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportResult {
    /// Events written.
    pub imported: u64,
    /// Events that were there already, with the same content.
    pub passed_over: u64,
    /// The position of the last event given; 0 when none was.
    pub position: u64,
}

impl EventStore {
    /// Appends events to a stream: all of them or none, with consecutive versions.
    ///
    /// Appends of one process that meet share one commit, each with its own answer; those started without awaiting each other have
    /// no order. Acknowledged means durable. Repeating an append of the same events is safe in every mode: what was
    /// done already answers as the first time, `repeated`. Dropping the future leaves the append whole or absent: what still waits is withdrawn, what was sent runs
    /// on. At most 10,000 events or 32 MiB; at least one.
    ///
    /// # Errors
    /// `conflict` when the stream is not as expected; `duplicate-event` when an id is known with other content or in another place;
    /// `invalid-argument` and `limit-exceeded` for values outside the contract, before anything is written; `unavailable`
    /// when the deadline (30 s unless set) passed, with what is known of the outcome and the ids; `closed`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
    /// use streamkeep::{Event, EventStore, ExpectedVersion};
    /// let store = EventStore::open("memory:").await?;
    /// let placed = Event::json_text("OrderPlaced", "{}");
    /// store.append("order-42", [placed.clone()], ExpectedVersion::NoStream).await?;
    /// let again = store.append("order-42", [placed], ExpectedVersion::NoStream).await?;
    /// assert!(again.repeated);
    /// # store.close().await }
    /// ```
    pub async fn append(
        &self,
        stream: impl Into<String> + Send,
        events: impl IntoIterator<Item = Event> + Send,
        options: impl Into<AppendOptions> + Send,
    ) -> Result<AppendResult> {
        let (stream, events, options): (String, Arc<[Event]>, AppendOptions) = (stream.into(), events.into_iter().collect(), options.into());
        self.append_checked(stream, events, options).await
    }

    async fn append_checked(&self, stream: String, events: Arc<[Event]>, options: AppendOptions) -> Result<AppendResult> {
        self.shared.check_open()?;
        check_append(&stream, &events)?;
        let deadline = self.shared.deadline(options.timeout);
        let request = AppendRequest { stream, expected: options.expected, events: Arc::clone(&events), deadline };
        match self.shared.queue.append(request).await {
            Ok(done) => Ok(AppendResult { version: done.version, position: done.position, repeated: done.repeated }),
            Err(error) => Err(error.with_ids(events.iter().map(|event| event.id).collect()).with_context("append")),
        }
    }

    /// Takes events recorded elsewhere: stream, version, id and time as given (assigned where not), positions anew in the order given.
    ///
    /// Written whole or not at all per 1,000 events (or 8 MiB). What is there already with the same ids and content is passed over, so an import can be
    /// repeated and resumed. An absent stream may start above version 1; types of the store's own (`$…`) are taken.
    ///
    /// # Errors
    /// `duplicate-event` when an id is known with other content; `conflict` when a version does not follow; otherwise as
    /// [`EventStore::append`]. What whole chunks were written before stays.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
    /// use streamkeep::{Event, EventStore, ImportEvent};
    /// let store = EventStore::open("memory:").await?;
    /// let event = Event::json_text("Opened", "{}");
    /// let old = ImportEvent { stream: "case-1".into(), version: Some(1), recorded_at: None, event };
    /// assert_eq!(store.import_events([old.clone()]).await?.imported, 1);
    /// assert_eq!(store.import_events([old]).await?.passed_over, 1);
    /// # store.close().await }
    /// ```
    pub async fn import_events(&self, events: impl IntoIterator<Item = ImportEvent> + Send) -> Result<ImportResult> {
        let events: Vec<ImportEvent> = events.into_iter().collect();
        self.import_checked(events).await
    }

    async fn import_checked(&self, events: Vec<ImportEvent>) -> Result<ImportResult> {
        self.shared.check_open()?;
        for import in &events {
            check_stream(&import.stream)?;
            check_event(&import.event, true)?;
        }
        let mut result = ImportResult::default();
        for chunk in chunks(events) {
            let ids: Vec<Uuid> = chunk.iter().map(|import| import.event.id).collect();
            let request = ImportRequest { events: chunk.into(), deadline: self.shared.deadline(None) };
            let answer = self.shared.run(request.deadline, move |shared| {
                let request = request.clone();
                async move { shared.backend.events.import(&request).await }
            });
            let done = answer.await.map_err(|error| import_error(error).with_ids(ids).with_context("import_events"))?;
            self.shared.hints.wake();
            result.imported += done.imported;
            result.passed_over += done.passed_over;
            result.position = done.position;
        }
        Ok(result)
    }
}

/// A chunk that was not answered in time may be on its way still, whatever its last attempt met.
fn import_error(error: Error) -> Error {
    if error.retryable() { error.with_outcome(Outcome::Unknown) } else { error }
}

pub(super) fn check_append(stream: &str, events: &[Event]) -> Result<()> {
    check_stream(stream)?;
    if events.is_empty() {
        return Err(Error::invalid_argument("events", "an append takes at least one event"));
    }
    if events.len() > MAX_APPEND_EVENTS {
        return Err(Error::limit_exceeded("events of an append", MAX_APPEND_EVENTS as u64, events.len() as u64));
    }
    let bytes = events.iter().map(Event::size_bytes).sum::<usize>();
    if bytes > MAX_APPEND_BYTES {
        return Err(Error::limit_exceeded("bytes of an append", MAX_APPEND_BYTES as u64, bytes as u64));
    }
    let mut ids = HashSet::with_capacity(events.len());
    for event in events {
        check_event(event, false)?;
        if !ids.insert(event.id) {
            return Err(Error::invalid_argument("events", format!("event id {} is given twice", event.id)));
        }
    }
    Ok(())
}

/// Cuts an import into what is written at once.
fn chunks(events: Vec<ImportEvent>) -> Vec<Vec<ImportEvent>> {
    let mut chunks: Vec<Vec<ImportEvent>> = Vec::new();
    let mut bytes = 0;
    for import in events {
        let size = import.event.size_bytes();
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < IMPORT_CHUNK_EVENTS && bytes + size <= GROUP_BYTES => chunk.push(import),
            _ => {
                chunks.push(vec![import]);
                bytes = 0;
            }
        }
        bytes += size;
    }
    chunks
}
