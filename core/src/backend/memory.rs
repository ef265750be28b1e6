//! Memory: the reference the other backends are compared with. A log behind a lock, gone with its last handle.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    AppendRequest, Appended, EventBackend, ImportRequest, Imported, LogPage, LogPageRequest, Opened, SnapshotBackend, SnapshotRecord, StreamPage,
    StreamPageRequest,
};
use crate::decision::{Decision, Facts, ImportDecision, KnownEvent, decide_appends, decide_import};
use crate::error::{Error, Result};
use crate::event::{Event, RecordedEvent};
use crate::faults::planted;
use crate::limits::PAGE_SCAN_EVENTS;
use crate::position::Direction;
use crate::store::OpenOptions;
use crate::stream::check_namespace;

/// The stores named `memory:NAME` of this process, by name and namespace. Weak: a store is gone with its last handle.
static NAMED: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

type Registry = HashMap<(String, String), Weak<Memory>>;

/// Opens `memory:` (its own) or `memory:NAME` (shared in the process).
pub(crate) fn open(name: &str, options: &OpenOptions) -> Result<Opened> {
    let memory = if name.is_empty() {
        absent(options)?;
        Arc::default()
    } else {
        check_namespace(name).map_err(|_| Error::config("a shared memory store is named memory:[a-z][a-z0-9_]{0,39}"))?;
        named(name, options)?
    };
    Ok(Opened {
        events: Arc::<Memory>::clone(&memory),
        snapshots: memory,
        #[cfg(feature = "postgres")]
        postgres: None,
    })
}

fn named(name: &str, options: &OpenOptions) -> Result<Arc<Memory>> {
    let mut named = lock(&NAMED);
    named.retain(|_, memory| memory.strong_count() > 0);
    let key = (name.to_owned(), options.namespace.clone());
    if let Some(memory) = named.get(&key).and_then(Weak::upgrade) {
        return Ok(memory);
    }
    absent(options)?;
    let memory = Arc::default();
    named.insert(key, Arc::downgrade(&memory));
    Ok(memory)
}

fn absent(options: &OpenOptions) -> Result<()> {
    if options.create { Ok(()) } else { Err(Error::config("there is no such memory store, and create is false")) }
}

/// A poisoned lock means a panic elsewhere; every change under these locks is whole, so the data is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One namespace's log and snapshots.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    log: Mutex<Log>,
    snapshots: Mutex<HashMap<(String, String), Vec<SnapshotRecord>>>,
    written: Notify,
}

#[derive(Debug, Default)]
struct Log {
    /// Position n stands at n − 1.
    events: Vec<RecordedEvent>,
    /// Positions of each stream's events, by version.
    streams: HashMap<String, Vec<u64>>,
    ids: HashMap<Uuid, u64>,
}

impl Log {
    fn at(&self, position: u64) -> Option<&RecordedEvent> {
        self.events.get(usize::try_from(position).ok()?.checked_sub(1)?)
    }

    fn head(&self) -> u64 {
        self.events.last().map_or(0, |event| event.position)
    }

    fn version(&self, stream: &str) -> u64 {
        self.streams.get(stream).and_then(|positions| self.at(*positions.last()?)).map_or(0, |event| event.version)
    }

    fn facts<'a>(&self, streams: impl Iterator<Item = &'a str>, ids: impl Iterator<Item = Uuid>) -> Facts {
        let known = |id: Uuid| {
            let event = self.at(*self.ids.get(&id)?)?;
            let content = Some(Box::new(event.clone()));
            Some((id, KnownEvent { stream: event.stream.clone(), version: event.version, position: event.position, content }))
        };
        Facts { heads: streams.map(|stream| (stream.to_owned(), self.version(stream))).collect(), known: ids.filter_map(known).collect() }
    }

    fn push(&mut self, stream: &str, version: u64, event: &Event, recorded_at: OffsetDateTime) -> u64 {
        let position = self.head() + 1;
        self.events.push(RecordedEvent {
            stream: stream.to_owned(),
            version,
            position,
            id: event.id,
            event_type: event.event_type.clone(),
            data: event.data.clone(),
            metadata: event.metadata.clone(),
            tags: event.tags.clone(),
            schema: event.schema.clone(),
            recorded_at,
        });
        self.streams.entry(stream.to_owned()).or_default().push(position);
        if !planted("memory-forgets-ids") {
            self.ids.insert(event.id, position);
        }
        position
    }

    fn append(&mut self, request: &AppendRequest, now: OffsetDateTime) -> Result<Appended> {
        let facts = self.facts(std::iter::once(request.stream.as_str()), request.events.iter().map(|event| event.id));
        match decide_appends(std::slice::from_ref(request), &facts).pop() {
            Some(Decision::Write { first_version }) => {
                let mut last = Appended { version: 0, position: 0, repeated: false };
                for (version, event) in (first_version..).zip(request.events.iter()) {
                    last = Appended { version, position: self.push(&request.stream, version, event, now), repeated: false };
                }
                Ok(last)
            }
            Some(Decision::Repeated(appended)) => Ok(appended),
            Some(Decision::Refuse(error)) => Err(error),
            Some(Decision::Again) | None => Err(Error::internal("an append alone in its group was not decided")),
        }
    }
}

#[async_trait]
impl EventBackend for Memory {
    fn lanes(&self) -> usize {
        1
    }

    fn gathering(&self) -> Duration {
        Duration::ZERO
    }

    async fn append(&self, group: &[AppendRequest]) -> Vec<Result<Appended>> {
        let answers = {
            let mut log = lock(&self.log);
            group.iter().map(|request| log.append(request, now())).collect()
        };
        self.written.notify_waiters();
        answers
    }

    async fn import(&self, request: &ImportRequest) -> Result<Imported> {
        let mut answer = Imported { imported: 0, passed_over: 0, position: 0 };
        {
            let mut log = lock(&self.log);
            let streams = request.events.iter().map(|import| import.stream.as_str());
            let facts = log.facts(streams, request.events.iter().map(|import| import.event.id));
            let decisions = decide_import(&request.events, &facts)?;
            let now = now();
            for (import, decision) in request.events.iter().zip(decisions) {
                answer.position = match decision {
                    ImportDecision::Write { version } => {
                        answer.imported += 1;
                        log.push(&import.stream, version, &import.event, import.recorded_at.map_or(now, to_micros))
                    }
                    ImportDecision::PassOver { position } => {
                        answer.passed_over += 1;
                        position
                    }
                };
            }
        }
        self.written.notify_waiters();
        Ok(answer)
    }

    async fn read_stream(&self, request: &StreamPageRequest) -> Result<StreamPage> {
        let log = lock(&self.log);
        let positions = log.streams.get(&request.stream).map_or(&[][..], Vec::as_slice);
        let wanted = |event: &&RecordedEvent| event.version >= request.from_version && event.version <= request.to_version;
        let events = positions.iter().filter_map(|position| log.at(*position)).filter(wanted);
        let mut page = Page::new(request.max_events, request.max_bytes);
        let end = match request.direction {
            Direction::Forward => page.fill(events),
            Direction::Backward => page.fill(events.rev()),
        };
        Ok(StreamPage { events: page.events, end })
    }

    async fn read_log(&self, request: &LogPageRequest) -> Result<LogPage> {
        let log = lock(&self.log);
        let head = log.head();
        let lowest = request.after.min(head);
        let highest = request.before.map_or(head, |before| before.saturating_sub(1).min(head)).max(lowest);
        let slice = log.events.get(index(lowest)..index(highest)).unwrap_or_default();
        let mut page = Page::new(request.max_events, request.max_bytes);
        let mut scan = Scan { left: PAGE_SCAN_EVENTS, seen: None };
        let matching = |event: &&RecordedEvent| request.query.matches(event);
        let filled = match request.direction {
            Direction::Forward => page.fill(slice.iter().take_while(|event| scan.goes_on(event)).filter(matching)),
            Direction::Backward => page.fill(slice.iter().rev().take_while(|event| scan.goes_on(event)).filter(matching)),
        };
        let whole = filled && scan.left > 0;
        let reached = match (whole, request.direction) {
            (true, Direction::Forward) => highest.max(request.after),
            (true, Direction::Backward) => lowest,
            (false, _) if filled => scan.seen.unwrap_or(lowest),
            (false, _) => page.events.last().map_or(lowest, |event| event.position),
        };
        Ok(LogPage { events: page.events, reached, caught_up: whole, drawn: Some(head) })
    }

    async fn head(&self, _deadline: Instant) -> Result<u64> {
        Ok(lock(&self.log).head())
    }

    async fn change_mark(&self, _deadline: Instant) -> Result<u64> {
        Ok(lock(&self.log).head())
    }

    async fn hinted(&self) {
        self.written.notified().await;
    }

    async fn close(&self) {}
}

/// Counts the events a page looked at, so that a sparse query stays bounded.
struct Scan {
    left: u64,
    seen: Option<u64>,
}

impl Scan {
    fn goes_on(&mut self, event: &RecordedEvent) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.seen = Some(event.position);
        true
    }
}

/// Fills up to its bounds.
struct Page {
    events: Vec<RecordedEvent>,
    max_events: usize,
    bytes_left: usize,
}

impl Page {
    const fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { events: Vec::new(), max_events, bytes_left: max_bytes }
    }

    /// Takes events while they fit; answers whether all did.
    fn fill<'a>(&mut self, events: impl Iterator<Item = &'a RecordedEvent>) -> bool {
        for event in events {
            let bytes = event.data.len() + event.metadata.len();
            let full = self.events.len() == self.max_events || (!self.events.is_empty() && bytes > self.bytes_left);
            if full {
                return false;
            }
            self.bytes_left = self.bytes_left.saturating_sub(bytes);
            self.events.push(event.clone());
        }
        true
    }
}

#[async_trait]
impl SnapshotBackend for Memory {
    async fn save(&self, record: &SnapshotRecord, _deadline: Instant) -> Result<()> {
        let mut snapshots = lock(&self.snapshots);
        let kept = snapshots.entry((record.stream.clone(), record.schema.clone())).or_default();
        kept.retain(|other| other.version != record.version);
        kept.push(record.clone());
        Ok(())
    }

    async fn load(&self, stream: &str, schema: &str, at_or_before: u64, _deadline: Instant) -> Result<Option<SnapshotRecord>> {
        let snapshots = lock(&self.snapshots);
        let kept = snapshots.get(&(stream.to_owned(), schema.to_owned()));
        Ok(kept.and_then(|kept| kept.iter().filter(|record| record.version <= at_or_before).max_by_key(|record| record.version).cloned()))
    }
}

fn index(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

fn now() -> OffsetDateTime {
    to_micros(OffsetDateTime::now_utc())
}

/// Times are kept to the microsecond, in UTC, as databases do.
fn to_micros(time: OffsetDateTime) -> OffsetDateTime {
    let time = time.to_offset(time::UtcOffset::UTC);
    time.replace_microsecond(time.microsecond()).unwrap_or(time)
}
