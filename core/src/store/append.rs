//! Appending and importing.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use super::EventStore;
use super::import_doubt::ImportDoubt;
use crate::error::{Error, Result};
use crate::event::{Event, ImportEvent, recorded_time};
use crate::faults::point;
use crate::limits::{GROUP_BYTES, IMPORT_CHUNK_EVENTS, MAX_APPEND_BYTES, MAX_APPEND_EVENTS};
use crate::options::AppendOptions;
use crate::request::{AppendRequest, AppendResult, ImportRequest, ImportResult};
use crate::stream::check_stream;
use crate::value::check_event;

impl EventStore {
    /// Appends events to a stream: all of them or none, with consecutive versions.
    ///
    /// Appends that run at the same time in one process share a commit, each with its own answer. Appends that were
    /// started without awaiting each other have no order. Acknowledged means durable. Repeating an append of the same
    /// events is safe with every expected version: the result is then that of the first time, marked `repeated`. If the
    /// future is dropped, the append is stored completely or not at all: it is withdrawn if it still waits, and runs to
    /// its end if it was sent. An append has at least one event, and at most 10,000 events and 32 MiB.
    ///
    /// # Errors
    /// `conflict` if the stream is not at the expected version; `duplicate-event` if an id is known with other content
    /// or at another place; `invalid-argument` and `limit-exceeded` for values that the contract does not allow, before
    /// anything is written; `unavailable` if the deadline (30 s unless set) passes, with the outcome and the ids;
    /// `closed`.
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
        let (stream, events, options): (String, Arc<[Event]>, AppendOptions) =
            (stream.into(), events.into_iter().collect(), options.into());
        let appended = self.append_checked(stream, Arc::clone(&events), options).await;
        appended.map_err(|error| error.with_ids(ids(&events)).with_operation("append"))
    }

    async fn append_checked(
        &self,
        stream: String,
        events: Arc<[Event]>,
        options: AppendOptions,
    ) -> Result<AppendResult> {
        self.handle.check_open()?;
        check_append(&stream, &events)?;
        let deadline = self.deadline(options.timeout);
        let request = AppendRequest { stream, expected: options.expected, events, deadline };
        self.handle.namespace.queue.append(request, || self.handle.engine.begin()).await
    }

    /// Stores events that were recorded elsewhere, with their stream, version, id and time. Values that are absent are
    /// assigned. Positions are new, in the order given.
    ///
    /// Each 1,000 events (or 8 MiB) are written completely or not at all. An event that is stored already with the same
    /// id and content is passed over, so an import can be repeated and resumed. One deadline covers the whole call:
    /// split a long import into several calls, or set a longer timeout with [`EventStore::with_timeout`]. An absent
    /// stream may begin above version 1. Types of the store (`$…`) are accepted.
    ///
    /// # Errors
    /// `duplicate-event` if an id is known with other content; `conflict` if a version does not follow;
    /// `invalid-argument` if a time is outside the years 1 to 9999 UTC; otherwise as [`EventStore::append`]. Events
    /// that were written before the error stay.
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
        self.import_checked(events).await.map_err(|error| error.with_operation("import_events"))
    }

    async fn import_checked(&self, mut events: Vec<ImportEvent>) -> Result<ImportResult> {
        self.handle.check_open()?;
        for import in &mut events {
            check_stream(&import.stream)?;
            check_event(&import.event, true)?;
            import.recorded_at = import.recorded_at.map(recorded_time).transpose()?;
        }
        let (mut result, deadline) = (ImportResult::default(), self.deadline(None));
        for chunk in chunks(events) {
            let ids: Vec<Uuid> = chunk.iter().map(|import| import.event.id).collect();
            let request = ImportRequest { events: chunk.into(), deadline };
            let doubt = ImportDoubt::default();
            let attempts = doubt.clone();
            let answer = self.handle.run(deadline, move |namespace| {
                let (request, attempts) = (request.clone(), attempts.clone());
                async move {
                    point("import-before-send").await;
                    let answer = attempts.attempt(namespace.events.import(&request)).await;
                    point("import-before-answer").await;
                    answer
                }
            });
            let done = answer.await.map_err(|error| doubt.told(error).with_ids(ids))?;
            self.handle.namespace.hints.wake();
            result.imported += done.imported;
            result.passed_over += done.passed_over;
            result.position = done.position;
        }
        Ok(result)
    }
}

pub(super) fn ids(events: &[Event]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}

pub(super) fn check_append(stream: &str, events: &[Event]) -> Result<()> {
    check_stream(stream)?;
    if events.is_empty() {
        return Err(Error::invalid_argument("events", "an append needs at least one event"));
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
            return Err(Error::invalid_argument("events", format!("event id {} occurs twice", event.id)));
        }
    }
    Ok(())
}

/// Cuts an import into the units that are written completely or not at all.
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
