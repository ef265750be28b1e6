//! Converts arguments: from plain objects to core's types.

use std::time::Duration;

use napi::bindgen_prelude::{Either, Uint8Array};
use napi_derive::napi;
use streamkeep::{
    AppendOptions, Direction, Durability, Event, ExpectedVersion, ImportEvent, OpenOptions, Payload, Query, QueryItem,
    ReadAllOptions, ReadOptions, ReadPageOptions, Start, SubscribeOptions,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::invalid_argument;

const GREAT_BYTES: usize = 32 * 1024;

/// JSON text, or bytes.
pub(crate) type PayloadIn = Either<String, Uint8Array>;

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

#[napi(object, object_to_js = false)]
pub struct EventIn {
    pub r#type: String,
    pub data: PayloadIn,
    pub metadata: Option<String>,
    pub tags: Option<Vec<String>>,
    pub id: Option<String>,
    pub schema: Option<String>,
    pub stream: Option<String>,
    pub version: Option<i64>,
    pub recorded_at_millis: Option<i64>,
    pub recorded_at_micros: Option<i64>,
}

#[napi(object, object_to_js = false)]
pub struct AppendIn {
    pub expected: Option<Either<String, i64>>,
    pub timeout_ms: Option<i64>,
}

#[napi(object, object_to_js = false)]
pub struct QueryItemIn {
    pub types: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
    pub categories: Option<Vec<String>>,
    pub streams: Option<Vec<String>>,
}

/// The options of all ways to read; each call uses its own.
#[napi(object, object_to_js = false)]
pub struct ReadIn {
    pub from_version: Option<i64>,
    pub to_version: Option<i64>,
    pub after: Option<i64>,
    pub before: Option<i64>,
    pub query: Option<Vec<QueryItemIn>>,
    pub direction: Option<String>,
    pub limit: Option<i64>,
    pub timeout_ms: Option<i64>,
    pub start: Option<String>,
}

#[napi(object, object_to_js = false)]
pub struct SnapshotIn {
    pub stream: String,
    pub version: i64,
    pub schema: String,
    pub data: PayloadIn,
}

pub(crate) fn payload(payload: PayloadIn) -> Payload {
    match payload {
        Either::A(text) => Payload::Json(text),
        Either::B(bytes) => Payload::Bytes(bytes.to_vec()),
    }
}

/// TypeScript has checked that these are whole and exact numbers, so only the sign is checked here.
pub(crate) fn number(argument: &str, value: i64) -> napi::Result<u64> {
    u64::try_from(value).map_err(|_| invalid_argument(argument, &format!("{argument} must not be negative")))
}

fn optional(argument: &str, value: Option<i64>) -> napi::Result<Option<u64>> {
    value.map(|value| number(argument, value)).transpose()
}

pub(crate) fn millis(argument: &str, value: Option<i64>) -> napi::Result<Option<Duration>> {
    Ok(optional(argument, value)?.map(Duration::from_millis))
}

fn uuid(argument: &str, text: &str) -> napi::Result<Uuid> {
    Uuid::try_parse(text).map_err(|_| invalid_argument(argument, &format!("{argument} must be a UUID")))
}

fn direction(name: Option<&str>) -> napi::Result<Direction> {
    match name {
        None | Some("forward") => Ok(Direction::Forward),
        Some("backward") => Ok(Direction::Backward),
        Some(_) => Err(invalid_argument("direction", "direction must be 'forward' or 'backward'")),
    }
}

pub(crate) fn open(url: String, given: OpenIn) -> napi::Result<OpenOptions> {
    let mut options = OpenOptions::new(url);
    if let Some(namespace) = given.namespace {
        options = options.namespace(namespace);
    }
    if let Some(create) = given.create {
        options = options.create(create);
    }
    if let Some(insecure) = given.insecure {
        options = options.insecure(insecure);
    }
    options = match given.durability.as_deref() {
        None => options,
        Some("full") => options.durability(Durability::Full),
        Some("relaxed") => options.durability(Durability::Relaxed),
        Some(_) => return Err(invalid_argument("durability", "durability must be 'full' or 'relaxed'")),
    };
    if let Some(timeout) = millis("timeout_ms", given.timeout_ms)? {
        options = options.timeout(timeout);
    }
    if let Some(interval) = millis("poll_interval_ms", given.poll_interval_ms)? {
        options = options.poll_interval(interval);
    }
    if let Some(connections) = optional("max_connections", given.max_connections)? {
        options = options.max_connections(u32::try_from(connections).unwrap_or(u32::MAX));
    }
    Ok(options)
}

/// Whether to check the events of an append takes so long that JavaScript's thread must not do it.
pub(crate) fn are_great(events: &[EventIn]) -> bool {
    let length = |event: &EventIn| match &event.data {
        Either::A(text) => text.len(),
        Either::B(bytes) => bytes.len(),
    };
    events.iter().map(length).sum::<usize>() > GREAT_BYTES
}

pub(crate) fn event(given: EventIn) -> napi::Result<Event> {
    let mut event = Event::new(given.r#type, payload(given.data));
    if let Some(metadata) = given.metadata {
        event = event.with_metadata(metadata);
    }
    if let Some(tags) = given.tags {
        event = event.with_tags(tags);
    }
    if let Some(id) = given.id {
        event = event.with_id(uuid("id", &id)?);
    }
    if let Some(schema) = given.schema {
        event = event.with_schema(schema);
    }
    Ok(event)
}

pub(crate) fn import_event(mut given: EventIn) -> napi::Result<ImportEvent> {
    let stream = given.stream.take().ok_or_else(|| invalid_argument("stream", "an event to import needs a stream"))?;
    let version = optional("version", given.version)?;
    let micros = given.recorded_at_micros.map(i128::from);
    let millis = given.recorded_at_millis.map(|millis| i128::from(millis) * 1000);
    let recorded_at = micros.or(millis).map(time).transpose()?;
    Ok(ImportEvent { stream, version, recorded_at, event: event(given)? })
}

/// Core checks the years. This refuses what its type of times cannot hold, with the same words.
fn time(micros: i128) -> napi::Result<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(micros * 1000)
        .map_err(|_| invalid_argument("recorded_at", "a time of an import must be in the years 1 to 9999, in UTC"))
}

pub(crate) fn append_options(given: AppendIn) -> napi::Result<AppendOptions> {
    let expected = match given.expected {
        None => ExpectedVersion::Any,
        Some(Either::B(version)) => ExpectedVersion::Exact(number("expected", version)?),
        Some(Either::A(name)) => match name.as_str() {
            "any" => ExpectedVersion::Any,
            "no-stream" => ExpectedVersion::NoStream,
            "stream-exists" => ExpectedVersion::StreamExists,
            _ => {
                return Err(invalid_argument(
                    "expected",
                    "expected must be a version, 'any', 'no-stream' or 'stream-exists'",
                ));
            }
        },
    };
    Ok(AppendOptions { expected, timeout: millis("timeout_ms", given.timeout_ms)? })
}

fn query(items: Option<Vec<QueryItemIn>>) -> Query {
    let item = |given: QueryItemIn| QueryItem {
        types: given.types.unwrap_or_default(),
        tags: given.tags.unwrap_or_default(),
        categories: given.categories.unwrap_or_default(),
        streams: given.streams.unwrap_or_default(),
    };
    Query { items: items.unwrap_or_default().into_iter().map(item).collect() }
}

pub(crate) fn read_options(given: &ReadIn) -> napi::Result<ReadOptions> {
    let default = ReadOptions::default();
    Ok(ReadOptions {
        from_version: optional("from_version", given.from_version)?.unwrap_or(default.from_version),
        to_version: optional("to_version", given.to_version)?.unwrap_or(default.to_version),
        direction: direction(given.direction.as_deref())?,
        limit: optional("limit", given.limit)?,
        timeout: millis("timeout_ms", given.timeout_ms)?,
    })
}

pub(crate) fn read_all_options(given: ReadIn) -> napi::Result<ReadAllOptions> {
    Ok(ReadAllOptions {
        after: optional("after", given.after)?.unwrap_or(0),
        before: optional("before", given.before)?,
        direction: direction(given.direction.as_deref())?,
        limit: optional("limit", given.limit)?,
        timeout: millis("timeout_ms", given.timeout_ms)?,
        query: query(given.query),
    })
}

pub(crate) fn read_page_options(given: ReadIn) -> napi::Result<ReadPageOptions> {
    Ok(ReadPageOptions {
        after: optional("after", given.after)?.unwrap_or(0),
        limit: optional("limit", given.limit)?,
        timeout: millis("timeout_ms", given.timeout_ms)?,
        query: query(given.query),
    })
}

pub(crate) fn subscribe_options(given: ReadIn) -> napi::Result<SubscribeOptions> {
    let start = match given.start.as_deref() {
        None => None,
        Some("beginning") => Some(Start::Beginning),
        Some("now") => Some(Start::Now),
        Some(_) => return Err(invalid_argument("start", "start must be 'beginning' or 'now'")),
    };
    Ok(SubscribeOptions { start, after: optional("after", given.after)?, query: query(given.query) })
}
