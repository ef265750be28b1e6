//! The memory backend: a log behind a mutex, which is lost with its last handle. The other backends are compared with
//! it.

mod candidates;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::{DatabaseBackend, EventBackend, Gathering, NamespaceBackends, SnapshotBackend};
use crate::decision::{Decision, Facts, ImportDecision, KnownEvent, decide_appends, decide_import};
use crate::diagnosis::Diagnosis;
use crate::error::{Error, Result};
use crate::event::{Event, RecordedEvent};
use crate::faults::planted;
use crate::limits::PAGE_SCAN_EVENTS;
use crate::options::Durability;
use crate::per_process::PerProcess;
use crate::plan::Candidates;
use crate::position::Direction;
use crate::request::{
    AppendRequest, AppendResult, ImportRequest, ImportResult, LogPage, LogPageRequest, SnapshotRecord, StreamPage,
    StreamPageRequest,
};
use crate::stream::check_namespace;

/// Opens `memory:` or `memory:NAME`. All handles of a process share a named store, whatever their runtime.
pub(crate) fn open(name: &str) -> Result<Arc<dyn DatabaseBackend>> {
    static NAMED: PerProcess<Mutex<HashMap<String, Weak<MemoryDatabase>>>> = PerProcess::new();
    if name.is_empty() {
        return Ok(Arc::<MemoryDatabase>::default());
    }
    check_namespace(name).map_err(|_| Error::config("a shared memory store is named memory:[a-z][a-z0-9_]{0,39}"))?;
    let mut named = lock(NAMED.get());
    named.retain(|_, database| database.strong_count() > 0);
    let open = named.get(name).and_then(Weak::upgrade);
    Ok(open.unwrap_or_else(|| {
        let database = Arc::<MemoryDatabase>::default();
        named.insert(name.to_owned(), Arc::downgrade(&database));
        database
    }))
}

/// The namespaces of one memory store, which are lost with its last handle.
#[derive(Debug, Default)]
struct MemoryDatabase {
    namespaces: Mutex<HashMap<String, Arc<Memory>>>,
}

#[async_trait]
impl DatabaseBackend for MemoryDatabase {
    async fn open_namespace(&self, name: &str, create: bool, _deadline: Instant) -> Result<NamespaceBackends> {
        let mut namespaces = lock(&self.namespaces);
        if !create && !namespaces.contains_key(name) {
            return Err(Error::config(format!("namespace '{name}' does not exist, and create is false")));
        }
        let memory = namespaces.entry(name.to_owned()).or_default();
        Ok(NamespaceBackends { events: Arc::<Memory>::clone(memory), snapshots: Arc::<Memory>::clone(memory) })
    }

    async fn close(&self) {}
}

/// Ignores poison: no change under these mutexes can stop half way, so the data is valid after a panic.
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
    /// The event at position n has the index n − 1.
    events: Vec<RecordedEvent>,
    /// Positions of each stream's events, by version.
    streams: HashMap<String, Vec<u64>>,
    /// Positions of the events with each tag.
    tags: HashMap<String, Vec<u64>>,
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
            Some((
                id,
                KnownEvent { stream: event.stream.clone(), version: event.version, position: event.position, content },
            ))
        };
        Facts {
            heads: streams.map(|stream| (stream.to_owned(), self.version(stream))).collect(),
            known: ids.filter_map(known).collect(),
        }
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
        for tag in &event.tags {
            self.tags.entry(tag.clone()).or_default().push(position);
        }
        if !planted("memory-forgets-ids") {
            self.ids.insert(event.id, position);
        }
        position
    }

    /// A page of the matching candidates, above `lowest` and up to `highest`.
    fn page_of_candidates(
        &self,
        request: &LogPageRequest,
        candidates: &Candidates,
        (lowest, highest): (u64, u64),
        mut page: PageBuilder,
    ) -> LogPage {
        let events = candidates.positions.iter().filter_map(|position| self.at(*position));
        let events = events.filter(|event| request.query.matches(event));
        let (filled, bound) = match request.direction {
            Direction::Forward => (page.fill(events), highest.max(request.after)),
            Direction::Backward => (page.fill(events.rev()), lowest),
        };
        let last = page.events.last().map(|event| event.position).filter(|_| !filled);
        let reached = last.or(candidates.end).unwrap_or(bound);
        let caught_up = filled && candidates.end.is_none();
        LogPage { events: page.events, reached, caught_up, drawn: Some(self.head()) }
    }

    fn append(&mut self, request: &AppendRequest, now: OffsetDateTime) -> Result<AppendResult> {
        let facts = self.facts(std::iter::once(request.stream.as_str()), request.events.iter().map(|event| event.id));
        match decide_appends(std::slice::from_ref(request), &facts).pop() {
            Some(Decision::Write { first_version }) => {
                let mut last = AppendResult { version: 0, position: 0, repeated: false };
                for (version, event) in (first_version..).zip(request.events.iter()) {
                    last = AppendResult {
                        version,
                        position: self.push(&request.stream, version, event, now),
                        repeated: false,
                    };
                }
                Ok(last)
            }
            Some(Decision::Repeated(appended)) => Ok(appended),
            Some(Decision::Refuse(error)) => Err(error),
            Some(Decision::Again) | None => Err(Error::internal("a single append was not decided")),
        }
    }
}

#[async_trait]
impl EventBackend for Memory {
    fn lanes(&self) -> usize {
        1
    }

    fn gathering(&self) -> Gathering {
        Gathering::NONE
    }

    async fn append(&self, group: &[AppendRequest]) -> Vec<Result<AppendResult>> {
        let answers = {
            let mut log = lock(&self.log);
            group.iter().map(|request| log.append(request, now())).collect()
        };
        self.written.notify_waiters();
        answers
    }

    async fn import(&self, request: &ImportRequest) -> Result<ImportResult> {
        let mut answer = ImportResult { imported: 0, passed_over: 0, position: 0 };
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
                        log.push(&import.stream, version, &import.event, import.recorded_at.unwrap_or(now))
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
        let wanted =
            |event: &&RecordedEvent| event.version >= request.from_version && event.version <= request.to_version;
        let events = positions.iter().filter_map(|position| log.at(*position)).filter(wanted);
        let mut page = PageBuilder::new(request.max_events, request.max_bytes);
        let end = match request.direction {
            Direction::Forward => page.fill(events),
            Direction::Backward => page.fill(events.rev()),
        };
        Ok(StreamPage { events: page.events, end })
    }

    async fn stream_version(&self, stream: &str, _deadline: Instant) -> Result<u64> {
        Ok(lock(&self.log).version(stream))
    }

    async fn event_id(&self, stream: &str, version: u64, _deadline: Instant) -> Result<Option<Uuid>> {
        let log = lock(&self.log);
        let positions = log.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let mut events = positions.iter().filter_map(|position| log.at(*position));
        Ok(events.find(|event| event.version == version).map(|event| event.id))
    }

    async fn read_log(&self, request: &LogPageRequest) -> Result<LogPage> {
        let log = lock(&self.log);
        let head = log.head();
        let lowest = request.after.min(head);
        let highest = request.before.map_or(head, |before| before.saturating_sub(1).min(head)).max(lowest);
        let mut page = PageBuilder::new(request.max_events, request.max_bytes);
        if let Some(candidates) = log.candidates(request, lowest, highest) {
            return Ok(log.page_of_candidates(request, &candidates, (lowest, highest), page));
        }
        let slice = log.events.get(index(lowest)..index(highest)).unwrap_or_default();
        let mut scan = Scan { left: PAGE_SCAN_EVENTS, seen: None };
        let matching = |event: &&RecordedEvent| request.query.matches(event);
        let filled = match request.direction {
            Direction::Forward => page.fill(slice.iter().take_while(|event| scan.goes_on(event)).filter(matching)),
            Direction::Backward => {
                page.fill(slice.iter().rev().take_while(|event| scan.goes_on(event)).filter(matching))
            }
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

    async fn diagnose(&self, _deadline: Instant) -> Result<Diagnosis> {
        let head = lock(&self.log).head();
        Ok(Diagnosis {
            server: "memory".to_owned(),
            durability: Durability::Relaxed,
            settings: Vec::new(),
            format: 0,
            head,
            horizon: head,
            blockers: Vec::new(),
            last_loss: None,
        })
    }

    async fn hinted(&self) {
        self.written.notified().await;
    }

    async fn close(&self) {}
}

/// Limits how many events a page looks at, so that a sparse query stays bounded.
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

/// Collects events up to the limits of a page.
struct PageBuilder {
    events: Vec<RecordedEvent>,
    max_events: usize,
    bytes_left: usize,
}

impl PageBuilder {
    const fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { events: Vec::new(), max_events, bytes_left: max_bytes }
    }

    /// Takes events while they fit. Returns whether all did.
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

    async fn load(
        &self,
        stream: &str,
        schema: &str,
        at_or_before: u64,
        _deadline: Instant,
    ) -> Result<Option<SnapshotRecord>> {
        let snapshots = lock(&self.snapshots);
        let kept = snapshots.get(&(stream.to_owned(), schema.to_owned()));
        Ok(kept.and_then(|kept| {
            kept.iter().filter(|record| record.version <= at_or_before).max_by_key(|record| record.version).cloned()
        }))
    }
}

fn index(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

fn now() -> OffsetDateTime {
    to_micros(OffsetDateTime::now_utc())
}

/// Rounds a time down to microseconds in UTC, as databases store it.
fn to_micros(time: OffsetDateTime) -> OffsetDateTime {
    let time = time.to_offset(time::UtcOffset::UTC);
    time.replace_microsecond(time.microsecond()).unwrap_or(time)
}
