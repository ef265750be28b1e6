//! Converts arguments: from plain objects to core's types.

use std::time::Duration;

use napi::bindgen_prelude::{Either, Uint8Array};
use napi_derive::napi;
use streamkeep::{Event, ImportEvent, Payload, Query, QueryItem, Snapshot};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::invalid_argument;

const GREAT_BYTES: usize = 32 * 1024;

/// JSON text, or bytes.
pub(crate) type PayloadIn = Either<String, Uint8Array>;

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
pub struct QueryItemIn {
    pub types: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
    pub categories: Option<Vec<String>>,
    pub streams: Option<Vec<String>>,
}

#[napi(object, object_to_js = false)]
pub struct SnapshotIn {
    pub stream: String,
    pub version: i64,
    pub schema: String,
    pub data: PayloadIn,
}

fn payload(payload: PayloadIn) -> Payload {
    match payload {
        Either::A(text) => Payload::Json(text),
        Either::B(bytes) => Payload::Bytes(bytes.to_vec()),
    }
}

/// A value that core takes as it is.
#[expect(clippy::unnecessary_wraps, reason = "as the other conversions")]
pub(crate) fn same<T>(_argument: &str, value: T) -> napi::Result<T> {
    Ok(value)
}

/// TypeScript has checked that these are whole and exact numbers, so only the sign is checked here.
pub(crate) fn number(argument: &str, value: i64) -> napi::Result<u64> {
    u64::try_from(value).map_err(|_| invalid_argument(argument, &format!("{argument} must not be negative")))
}

/// Core refuses those that are too great.
pub(crate) fn small_number(argument: &str, value: i64) -> napi::Result<u32> {
    number(argument, value).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

pub(crate) fn millis(argument: &str, value: i64) -> napi::Result<Duration> {
    number(argument, value).map(Duration::from_millis)
}

pub(crate) fn optional<T, V>(
    argument: &str,
    value: Option<T>,
    convert: impl FnOnce(&str, T) -> napi::Result<V>,
) -> napi::Result<Option<V>> {
    value.map(|value| convert(argument, value)).transpose()
}

fn uuid(argument: &str, text: &str) -> napi::Result<Uuid> {
    Uuid::try_parse(text).map_err(|_| invalid_argument(argument, &format!("{argument} must be a UUID")))
}

/// Whether to check the events of an append takes so long that JavaScript's thread must not do it.
pub(crate) fn are_great(events: &[EventIn]) -> bool {
    let length = |event: &EventIn| match &event.data {
        Either::A(text) => text.len(),
        Either::B(bytes) => bytes.len(),
    };
    events.iter().map(length).sum::<usize>() > GREAT_BYTES
}

pub(crate) fn events(given: Vec<EventIn>) -> napi::Result<Vec<Event>> {
    given.into_iter().map(event).collect()
}

pub(crate) fn import_events(given: Vec<EventIn>) -> napi::Result<Vec<ImportEvent>> {
    given.into_iter().map(import_event).collect()
}

pub(crate) fn snapshot(given: SnapshotIn) -> napi::Result<Snapshot> {
    let SnapshotIn { stream, version, schema, data } = given;
    Ok(Snapshot { stream, version: number("version", version)?, schema, data: payload(data) })
}

fn event(given: EventIn) -> napi::Result<Event> {
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

fn import_event(mut given: EventIn) -> napi::Result<ImportEvent> {
    let stream = given.stream.take().ok_or_else(|| invalid_argument("stream", "an event to import needs a stream"))?;
    let version = optional("version", given.version, number)?;
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

#[expect(clippy::unnecessary_wraps, reason = "as the other conversions")]
pub(crate) fn query(_argument: &str, items: Vec<QueryItemIn>) -> napi::Result<Query> {
    let item = |given: QueryItemIn| QueryItem {
        types: given.types.unwrap_or_default(),
        tags: given.tags.unwrap_or_default(),
        categories: given.categories.unwrap_or_default(),
        streams: given.streams.unwrap_or_default(),
    };
    Ok(Query { items: items.into_iter().map(item).collect() })
}
