//! Converts requests to core's types, and answers to frames.

use streamkeep::{Batch, Event, ImportEvent, Payload, Query, QueryItem, RecordedEvent, Snapshot};
use time::OffsetDateTime;

use crate::error::Failure;
use crate::frame::{Reader, Writer};

type Read<T> = Result<T, Failure>;

const MICROSECOND_NANOS: i128 = 1_000;
/// Marks the end of a read.
const ENDED: u8 = 1;
/// Marks that everything that was committed so far was given.
const CAUGHT_UP: u8 = 2;

fn payload(frame: &mut Reader<'_>) -> Read<Payload> {
    let is_bytes = frame.flag()?;
    let bytes = frame.bytes()?.to_vec();
    if is_bytes {
        return Ok(Payload::Bytes(bytes));
    }
    // The JVM may pass JSON as bytes, but core's JSON is text.
    String::from_utf8(bytes).map(Payload::Json).map_err(|_| Failure::argument("data", "data is not UTF-8"))
}

pub(crate) fn event(frame: &mut Reader<'_>) -> Read<Event> {
    let mut event = Event::new(frame.text()?, payload(frame)?);
    event.metadata = frame.text()?;
    event.tags = frame.texts()?;
    event.id = frame.uuid()?;
    event.schema = frame.optional(Reader::text)?;
    Ok(event)
}

pub(crate) fn import_event(frame: &mut Reader<'_>) -> Read<ImportEvent> {
    let stream = frame.text()?;
    let version = frame.optional_number("version")?;
    let recorded_at = frame.optional(|frame| {
        let nanos = i128::from(frame.long()?) * MICROSECOND_NANOS;
        OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .map_err(|_| Failure::argument("recorded_at", "recorded_at is outside the years 1 to 9999"))
    })?;
    Ok(ImportEvent { stream, version, recorded_at, event: event(frame)? })
}

pub(crate) fn query(frame: &mut Reader<'_>) -> Read<Query> {
    let items = frame.list(|frame| {
        Ok(QueryItem {
            types: frame.texts()?,
            tags: frame.texts()?,
            categories: frame.texts()?,
            streams: frame.texts()?,
        })
    })?;
    Ok(Query { items })
}

pub(crate) fn small_number(frame: &mut Reader<'_>, argument: &'static str) -> Read<u32> {
    u32::try_from(frame.number(argument)?).map_err(|_| Failure::argument(argument, format!("{argument} is too large")))
}

pub(crate) fn snapshot(frame: &mut Reader<'_>) -> Read<Snapshot> {
    Ok(Snapshot {
        stream: frame.text()?,
        version: frame.number("version")?,
        schema: frame.text()?,
        data: payload(frame)?,
    })
}

fn write_payload(frame: &mut Writer, payload: &Payload) {
    frame.flag(payload.as_json().is_none());
    frame.bytes(payload.as_bytes());
}

pub(crate) fn write_snapshot(frame: &mut Writer, snapshot: &Snapshot) {
    frame.text(&snapshot.stream);
    frame.number(snapshot.version);
    frame.text(&snapshot.schema);
    write_payload(frame, &snapshot.data);
}

pub(crate) fn write_recorded(frame: &mut Writer, event: &RecordedEvent) {
    frame.text(&event.stream);
    frame.number(event.version);
    frame.number(event.position);
    frame.text(&event.event_type);
    write_payload(frame, &event.data);
    frame.text(&event.metadata);
    frame.texts(&event.tags);
    frame.uuid(event.id);
    frame.optional_text(event.schema.as_deref());
    frame.long(
        i64::try_from(event.recorded_at.unix_timestamp_nanos().div_euclid(MICROSECOND_NANOS)).unwrap_or(i64::MAX),
    );
}

pub(crate) fn write_events(frame: &mut Writer, events: &[RecordedEvent]) {
    frame.length(events.len());
    events.iter().for_each(|event| write_recorded(frame, event));
}

/// Writes a page of a read, and whether it is the last one.
pub(crate) fn write_page(frame: &mut Writer, events: &[RecordedEvent], ended: bool) {
    frame.byte(if ended { ENDED } else { 0 });
    write_events(frame, events);
}

/// Writes a batch of a subscription; `None` is the end.
pub(crate) fn write_batch(frame: &mut Writer, batch: Option<&Batch>) {
    match batch {
        None => write_page(frame, &[], true),
        Some(batch) => {
            frame.byte(if batch.caught_up { CAUGHT_UP } else { 0 });
            write_events(frame, &batch.events);
        }
    }
}
