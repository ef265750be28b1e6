//! Converts between the values of the format and those of the store. Each key that is used is removed, so any key that
//! is left is unknown.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use streamkeep::{Event, EventStore, ImportEvent, Payload, Query, QueryItem, RecordedEvent, Snapshot};
use time::OffsetDateTime;
use uuid::Uuid;

use super::nothing_left;

pub(super) type Taken<T> = Result<T, String>;

/// Arguments, from which each operation takes the ones it knows.
pub(super) struct Args(pub(super) Map<String, Value>);

impl Args {
    pub(super) fn of(value: Value) -> Taken<Self> {
        if let Value::Object(map) = value { Ok(Self(map)) } else { Err(format!("not an object: {value}")) }
    }

    pub(super) fn optional<T>(&mut self, key: &str, take: impl FnOnce(Value) -> Taken<T>) -> Taken<Option<T>> {
        self.0.remove(key).map(|value| take(value).map_err(|error| format!("{key}: {error}"))).transpose()
    }

    pub(super) fn required<T>(&mut self, key: &str, take: impl FnOnce(Value) -> Taken<T>) -> Taken<T> {
        self.optional(key, take)?.ok_or_else(|| format!("{key} is missing"))
    }

    pub(super) fn end(&self) -> Taken<()> {
        nothing_left(&self.0)
    }
}

pub(super) fn text(value: Value) -> Taken<String> {
    if let Value::String(text) = value { Ok(text) } else { Err(format!("not a text: {value}")) }
}

pub(super) fn number(value: Value) -> Taken<u64> {
    value.as_u64().ok_or_else(|| format!("not a number: {value}"))
}

pub(super) fn small_number(value: Value) -> Taken<u32> {
    u32::try_from(number(value)?).map_err(|error| error.to_string())
}

pub(super) fn flag(value: Value) -> Taken<bool> {
    value.as_bool().ok_or_else(|| format!("not true or false: {value}"))
}

pub(super) fn millis(value: Value) -> Taken<Duration> {
    number(value).map(Duration::from_millis)
}

/// The store for a call that takes its timeout from the handle.
pub(super) fn within(store: &EventStore, args: &mut Args) -> Taken<EventStore> {
    let timeout = args.optional("timeout_ms", millis)?;
    Ok(timeout.map_or_else(|| store.clone(), |timeout| store.with_timeout(timeout)))
}

pub(super) fn list<T>(value: Value, item: impl FnMut(Value) -> Taken<T>) -> Taken<Vec<T>> {
    if let Value::Array(items) = value {
        items.into_iter().map(item).collect()
    } else {
        Err(format!("not a list: {value}"))
    }
}

fn texts(value: Value) -> Taken<Vec<String>> {
    list(value, text)
}

fn id(value: Value) -> Taken<Uuid> {
    text(value)?.parse().map_err(|error| format!("not an id: {error}"))
}

fn payload(value: Value) -> Taken<Payload> {
    if let Value::String(text) = value {
        return Ok(Payload::Json(text));
    }
    let mut args = Args::of(value)?;
    let bytes = STANDARD.decode(args.required("base64", text)?).map_err(|error| error.to_string())?;
    args.end()?;
    Ok(Payload::Bytes(bytes))
}

pub(super) fn event(value: Value) -> Taken<Event> {
    let mut args = Args::of(value)?;
    let data = args.optional("data", payload)?.unwrap_or_else(|| Payload::Json("{}".to_owned()));
    let mut event = Event::new(args.required("type", text)?, data);
    if let Some(metadata) = args.optional("metadata", text)? {
        event.metadata = metadata;
    }
    if let Some(id) = args.optional("id", id)? {
        event.id = id;
    }
    event.tags = args.optional("tags", texts)?.unwrap_or_default();
    event.schema = args.optional("schema", text)?;
    args.end()?;
    Ok(event)
}

pub(super) fn import_event(value: Value) -> Taken<ImportEvent> {
    let mut args = Args::of(value)?;
    let micros = |value: Value| {
        let nanos = value.as_i64().map(|micros| i128::from(micros) * 1_000).ok_or("not a time")?;
        OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|error| error.to_string())
    };
    let import = ImportEvent {
        stream: args.required("stream", text)?,
        version: args.optional("version", number)?,
        recorded_at: args.optional("recorded_at", micros)?,
        event: args.required("event", event)?,
    };
    args.end()?;
    Ok(import)
}

pub(super) fn query(value: Value) -> Taken<Query> {
    let item = |value| {
        let mut args = Args::of(value)?;
        let mut names = |key| args.optional(key, texts).map(Option::unwrap_or_default);
        let item = QueryItem {
            types: names("types")?,
            tags: names("tags")?,
            categories: names("categories")?,
            streams: names("streams")?,
        };
        args.end()?;
        Ok(item)
    };
    Ok(Query { items: list(value, item)? })
}

pub(super) fn snapshot(value: Value) -> Taken<Snapshot> {
    let mut args = Args::of(value)?;
    let snapshot = Snapshot {
        stream: args.required("stream", text)?,
        version: args.required("version", number)?,
        schema: args.required("schema", text)?,
        data: args.required("data", payload)?,
    };
    args.end()?;
    Ok(snapshot)
}

fn payload_value(data: &Payload) -> Value {
    match data {
        Payload::Json(text) => json!(text),
        Payload::Bytes(bytes) => json!({"base64": STANDARD.encode(bytes)}),
    }
}

pub(super) fn snapshot_value(snapshot: &Snapshot) -> Value {
    json!({"stream": snapshot.stream, "version": snapshot.version, "schema": snapshot.schema, "data": payload_value(&snapshot.data)})
}

pub(super) fn events_value(events: &[RecordedEvent]) -> Value {
    Value::Array(events.iter().map(event_value).collect())
}

pub(super) fn event_value(event: &RecordedEvent) -> Value {
    json!({
        "stream": event.stream,
        "version": event.version,
        "position": event.position,
        "id": event.id,
        "type": event.event_type,
        "data": payload_value(&event.data),
        "metadata": event.metadata,
        "tags": event.tags,
        "schema": event.schema,
        "content_type": event.content_type(),
        // Microseconds since 1970 fit for 290,000 years.
        "recorded_at": i64::try_from(event.recorded_at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX),
    })
}
