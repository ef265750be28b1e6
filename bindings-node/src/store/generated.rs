// Generated from generate/surface.json by `make generate`. Do not edit it.

//! The methods of the native module: each converts its arguments, calls core, and has its answer converted.

use napi::bindgen_prelude::Either;
use napi_derive::napi;

use super::{NativeStore, opening};
use crate::convert::{self, EventIn, QueryItemIn, SnapshotIn, millis, number, optional, query, same, small_number};
use crate::error::invalid_argument;
use crate::iteration::{NativeIteration, Of};
use crate::mailbox::NativeMailbox;
use crate::page::{Page, PageOut, SnapshotOut, exact};
use crate::runtime::apart;

/// The options of `append`.
#[napi(object, object_to_js = false)]
pub struct AppendIn {
    pub expected: Option<Either<String, i64>>,
    pub timeout_ms: Option<i64>,
}

/// The options of `head`.
#[napi(object, object_to_js = false)]
pub struct HeadIn {
    pub timeout_ms: Option<i64>,
}

/// The options of `import_events`.
#[napi(object, object_to_js = false)]
pub struct ImportEventsIn {
    pub timeout_ms: Option<i64>,
}

/// The options of `last`.
#[napi(object, object_to_js = false)]
pub struct LastIn {
    pub timeout_ms: Option<i64>,
}

/// The options of `load_snapshot`.
#[napi(object, object_to_js = false)]
pub struct LoadSnapshotIn {
    pub at_or_before: Option<i64>,
    pub timeout_ms: Option<i64>,
}

/// The options of `open`.
#[napi(object, object_to_js = false)]
pub struct OpenIn {
    pub namespace: Option<String>,
    pub create: Option<bool>,
    pub durability: Option<String>,
    pub timeout_ms: Option<i64>,
    pub poll_interval_ms: Option<i64>,
    pub max_connections: Option<i64>,
    pub insecure: Option<bool>,
}

/// The options of `read`.
#[napi(object, object_to_js = false)]
pub struct ReadIn {
    pub from_version: Option<i64>,
    pub to_version: Option<i64>,
    pub direction: Option<String>,
    pub limit: Option<i64>,
    pub timeout_ms: Option<i64>,
}

/// The options of `read_all`.
#[napi(object, object_to_js = false)]
pub struct ReadAllIn {
    pub after: Option<i64>,
    pub before: Option<i64>,
    pub query: Option<Vec<QueryItemIn>>,
    pub direction: Option<String>,
    pub limit: Option<i64>,
    pub timeout_ms: Option<i64>,
}

/// The options of `read_page`.
#[napi(object, object_to_js = false)]
pub struct ReadPageIn {
    pub after: Option<i64>,
    pub query: Option<Vec<QueryItemIn>>,
    pub limit: Option<i64>,
    pub timeout_ms: Option<i64>,
}

/// The options of `save_snapshot`.
#[napi(object, object_to_js = false)]
pub struct SaveSnapshotIn {
    pub timeout_ms: Option<i64>,
}

/// The options of `subscribe`.
#[napi(object, object_to_js = false)]
pub struct SubscribeIn {
    pub query: Option<Vec<QueryItemIn>>,
    pub start: Option<String>,
    pub after: Option<i64>,
}

/// The version and position of the last event of an append.
#[napi(object, object_from_js = false)]
pub struct AppendResultOut {
    pub version: f64,
    pub position: f64,
    pub repeated: bool,
}

impl From<streamkeep::AppendResult> for AppendResultOut {
    fn from(result: streamkeep::AppendResult) -> Self {
        Self { version: exact(result.version), position: exact(result.position), repeated: result.repeated }
    }
}

/// What an import did.
#[napi(object, object_from_js = false)]
pub struct ImportResultOut {
    pub imported: f64,
    pub passed_over: f64,
    pub position: f64,
}

impl From<streamkeep::ImportResult> for ImportResultOut {
    fn from(result: streamkeep::ImportResult) -> Self {
        Self {
            imported: exact(result.imported),
            passed_over: exact(result.passed_over),
            position: exact(result.position),
        }
    }
}

/// Opens a store, and creates what is missing. The answer has the number of the call, as that of every call.
#[napi(catch_unwind)]
pub fn open(mailbox: &NativeMailbox, call: u32, url: String, given: OpenIn) -> napi::Result<()> {
    let mut options = streamkeep::OpenOptions::new(url);
    if let Some(given) = given.namespace {
        options = options.namespace(same("namespace", given)?);
    }
    if let Some(given) = given.create {
        options = options.create(same("create", given)?);
    }
    if let Some(given) = given.durability {
        options = options.durability(durability_of("durability", given)?);
    }
    if let Some(given) = given.timeout_ms {
        options = options.timeout(millis("timeout_ms", given)?);
    }
    if let Some(given) = given.poll_interval_ms {
        options = options.poll_interval(millis("poll_interval_ms", given)?);
    }
    if let Some(given) = given.max_connections {
        options = options.max_connections(small_number("max_connections", given)?);
    }
    if let Some(given) = given.insecure {
        options = options.insecure(same("insecure", given)?);
    }
    opening(mailbox, call, options)
}

#[napi]
impl NativeStore {
    /// Appends events to a stream: all of them or none, with consecutive versions.
    #[napi(catch_unwind)]
    pub fn append(&self, call: u32, stream: String, events: Vec<EventIn>, given: AppendIn) -> napi::Result<()> {
        let store = self.store()?;
        let great = convert::are_great(&events);
        let events = convert::events(events)?;
        let mut options = streamkeep::AppendOptions::default();
        if let Some(given) = given.expected {
            options.expected = expected_of("expected", given)?;
        }
        options.timeout = optional("timeout_ms", given.timeout_ms, millis)?;
        let work = async move { store.append(stream, events, options).await };
        if great {
            return self.calls.start(call, AppendResultOut::from, apart(work)?);
        }
        self.calls.start(call, AppendResultOut::from, work)
    }

    /// Gives the position of the last committed event that is safe to read; 0 if the log is empty.
    #[napi(catch_unwind)]
    pub fn head(&self, call: u32, given: HeadIn) -> napi::Result<()> {
        let store = self.store_within(given.timeout_ms)?;
        let work = async move { store.head().await };
        self.calls.start(call, exact, work)
    }

    /// Imports events that were recorded elsewhere, with their stream, version, id and time.
    #[napi(catch_unwind)]
    pub fn import_events(&self, call: u32, events: Vec<EventIn>, given: ImportEventsIn) -> napi::Result<()> {
        let store = self.store_within(given.timeout_ms)?;
        let events = convert::import_events(events)?;
        let work = apart(async move { store.import_events(events).await })?;
        self.calls.start(call, ImportResultOut::from, work)
    }

    /// Gives the last event of a stream, or nothing if the stream is absent.
    #[napi(catch_unwind)]
    pub fn last(&self, call: u32, stream: String, given: LastIn) -> napi::Result<()> {
        let store = self.store_within(given.timeout_ms)?;
        let work = apart(async move { store.last(stream).await.map(Page::from) })?;
        self.calls.start(call, PageOut::from, work)
    }

    /// Loads the newest valid snapshot, or nothing.
    #[napi(catch_unwind)]
    pub fn load_snapshot(&self, call: u32, stream: String, schema: String, given: LoadSnapshotIn) -> napi::Result<()> {
        let store = self.store_within(given.timeout_ms)?;
        let at_or_before = optional("at_or_before", given.at_or_before, number)?;
        let work = async move { store.load_snapshot(stream, schema, at_or_before).await };
        self.calls.start(call, |found: Option<_>| found.map(SnapshotOut::from), work)
    }

    /// Reads the events of a stream page by page, in the order of versions. An absent stream has none.
    #[napi(catch_unwind)]
    pub fn read(&self, stream: String, given: ReadIn) -> napi::Result<NativeIteration> {
        let store = self.store()?;
        let mut options = streamkeep::ReadOptions::default();
        if let Some(given) = given.from_version {
            options.from_version = number("from_version", given)?;
        }
        if let Some(given) = given.to_version {
            options.to_version = number("to_version", given)?;
        }
        if let Some(given) = given.direction {
            options.direction = direction_of("direction", given)?;
        }
        options.limit = optional("limit", given.limit, number)?;
        options.timeout = optional("timeout_ms", given.timeout_ms, millis)?;
        Ok(self.iteration(Of::Read(store.read(stream, options))))
    }

    /// Reads the events of the log that match a query, page by page, in the order of positions.
    #[napi(catch_unwind)]
    pub fn read_all(&self, given: ReadAllIn) -> napi::Result<NativeIteration> {
        let store = self.store()?;
        let mut options = streamkeep::ReadAllOptions::default();
        if let Some(given) = given.after {
            options.after = number("after", given)?;
        }
        options.before = optional("before", given.before, number)?;
        if let Some(given) = given.query {
            options.query = query("query", given)?;
        }
        if let Some(given) = given.direction {
            options.direction = direction_of("direction", given)?;
        }
        options.limit = optional("limit", given.limit, number)?;
        options.timeout = optional("timeout_ms", given.timeout_ms, millis)?;
        Ok(self.iteration(Of::Read(store.read_all(options))))
    }

    /// Reads one page of the log and says how far it looked.
    #[napi(catch_unwind)]
    pub fn read_page(&self, call: u32, given: ReadPageIn) -> napi::Result<()> {
        let store = self.store()?;
        let mut options = streamkeep::ReadPageOptions::default();
        if let Some(given) = given.after {
            options.after = number("after", given)?;
        }
        if let Some(given) = given.query {
            options.query = query("query", given)?;
        }
        options.limit = optional("limit", given.limit, number)?;
        options.timeout = optional("timeout_ms", given.timeout_ms, millis)?;
        let work = apart(async move { store.read_page(options).await.map(Page::from) })?;
        self.calls.start(call, PageOut::from, work)
    }

    /// Saves a snapshot, and replaces one with the same stream, schema and version.
    #[napi(catch_unwind)]
    pub fn save_snapshot(&self, call: u32, snapshot: SnapshotIn, given: SaveSnapshotIn) -> napi::Result<()> {
        let store = self.store_within(given.timeout_ms)?;
        let snapshot = convert::snapshot(snapshot)?;
        let work = async move { store.save_snapshot(snapshot).await };
        self.calls.start(call, |()| (), work)
    }

    /// Subscribes to the log: every committed event that matches, once, in the order of positions.
    #[napi(catch_unwind)]
    pub fn subscribe(&self, given: SubscribeIn) -> napi::Result<NativeIteration> {
        let store = self.store()?;
        let mut options = streamkeep::SubscribeOptions::default();
        if let Some(given) = given.query {
            options.query = query("query", given)?;
        }
        options.start = optional("start", given.start, start_of)?;
        options.after = optional("after", given.after, number)?;
        Ok(self.iteration(Of::Subscription(store.subscribe(options))))
    }

    /// Closes the store.
    #[napi(catch_unwind)]
    pub fn close(&self, call: u32) -> napi::Result<()> {
        let store = self.store()?;
        self.calls.start(call, |()| (), async move { store.close().await })
    }
}

fn direction_of(argument: &str, word: String) -> napi::Result<streamkeep::Direction> {
    match word.as_str() {
        "forward" => Ok(streamkeep::Direction::Forward),
        "backward" => Ok(streamkeep::Direction::Backward),
        _ => Err(invalid_argument(argument, "direction must be 'forward' or 'backward'")),
    }
}

fn durability_of(argument: &str, word: String) -> napi::Result<streamkeep::Durability> {
    match word.as_str() {
        "full" => Ok(streamkeep::Durability::Full),
        "relaxed" => Ok(streamkeep::Durability::Relaxed),
        _ => Err(invalid_argument(argument, "durability must be 'full' or 'relaxed'")),
    }
}

fn expected_of(argument: &str, value: Either<String, i64>) -> napi::Result<streamkeep::ExpectedVersion> {
    let word = match value {
        Either::A(word) => word,
        Either::B(exact) => return number(argument, exact).map(streamkeep::ExpectedVersion::Exact),
    };
    match word.as_str() {
        "any" => Ok(streamkeep::ExpectedVersion::Any),
        "no-stream" => Ok(streamkeep::ExpectedVersion::NoStream),
        "stream-exists" => Ok(streamkeep::ExpectedVersion::StreamExists),
        _ => Err(invalid_argument(argument, "expected must be a version, 'any', 'no-stream' or 'stream-exists'")),
    }
}

fn start_of(argument: &str, word: String) -> napi::Result<streamkeep::Start> {
    match word.as_str() {
        "beginning" => Ok(streamkeep::Start::Beginning),
        "now" => Ok(streamkeep::Start::Now),
        _ => Err(invalid_argument(argument, "start must be 'beginning' or 'now'")),
    }
}
