//! Converts requests to core's types, and answers to frames.

use streamkeep::{
    Batch, Direction, Durability, Event, ExpectedVersion, ImportEvent, OpenOptions, Payload, Query, QueryItem,
    ReadAllOptions, ReadOptions, ReadPageOptions, RecordedEvent, Snapshot, Start, SubscribeOptions,
};
use time::OffsetDateTime;

use crate::error::Failure;
use crate::frame::{Reader, Writer};

type Read<T> = Result<T, Failure>;

const MICROSECOND_NANOS: i128 = 1_000;
/// Marks the end of a read.
const ENDED: u8 = 1;
/// Marks that everything that was committed so far was given.
const CAUGHT_UP: u8 = 2;

pub(crate) fn open_options(frame: &mut Reader<'_>) -> Read<OpenOptions> {
    let mut options = OpenOptions::new(frame.text()?);
    if let Some(namespace) = frame.optional(Reader::text)? {
        options = options.namespace(namespace);
    }
    if let Some(create) = frame.optional(Reader::flag)? {
        options = options.create(create);
    }
    if let Some(relaxed) = frame.optional(Reader::flag)? {
        options = options.durability(if relaxed { Durability::Relaxed } else { Durability::Full });
    }
    if let Some(timeout) = frame.optional_duration("timeout")? {
        options = options.timeout(timeout);
    }
    if let Some(interval) = frame.optional_duration("poll_interval")? {
        options = options.poll_interval(interval);
    }
    if let Some(connections) = frame.optional_number("max_connections")? {
        let connections = u32::try_from(connections)
            .map_err(|_| Failure::argument("max_connections", "max_connections is too large"))?;
        options = options.max_connections(connections);
    }
    if let Some(insecure) = frame.optional(Reader::flag)? {
        options = options.insecure(insecure);
    }
    Ok(options)
}

pub(crate) fn expected(frame: &mut Reader<'_>) -> Read<ExpectedVersion> {
    match frame.byte()? {
        0 => Ok(ExpectedVersion::Any),
        1 => Ok(ExpectedVersion::NoStream),
        2 => Ok(ExpectedVersion::StreamExists),
        3 => Ok(ExpectedVersion::Exact(frame.number("expected")?)),
        _ => Err(Failure::internal("an expected version of an unknown kind")),
    }
}

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

fn direction(frame: &mut Reader<'_>) -> Read<Direction> {
    Ok(if frame.flag()? { Direction::Backward } else { Direction::Forward })
}

fn query(frame: &mut Reader<'_>) -> Read<Query> {
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

pub(crate) fn read_options(frame: &mut Reader<'_>) -> Read<ReadOptions> {
    Ok(ReadOptions {
        from_version: frame.number("from_version")?,
        to_version: frame.optional_number("to_version")?.unwrap_or(u64::MAX),
        direction: direction(frame)?,
        limit: frame.optional_number("limit")?,
        timeout: frame.optional_duration("timeout")?,
    })
}

pub(crate) fn read_all_options(frame: &mut Reader<'_>) -> Read<ReadAllOptions> {
    Ok(ReadAllOptions {
        after: frame.number("after")?,
        before: frame.optional_number("before")?,
        query: query(frame)?,
        direction: direction(frame)?,
        limit: frame.optional_number("limit")?,
        timeout: frame.optional_duration("timeout")?,
    })
}

pub(crate) fn read_page_options(frame: &mut Reader<'_>) -> Read<ReadPageOptions> {
    Ok(ReadPageOptions {
        after: frame.number("after")?,
        query: query(frame)?,
        limit: frame.optional_number("limit")?,
        timeout: frame.optional_duration("timeout")?,
    })
}

pub(crate) fn subscribe_options(frame: &mut Reader<'_>) -> Read<SubscribeOptions> {
    Ok(SubscribeOptions {
        query: query(frame)?,
        start: frame.optional(Reader::flag)?.map(|now| if now { Start::Now } else { Start::Beginning }),
        after: frame.optional_number("after")?,
    })
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

pub(crate) fn write_snapshot(frame: &mut Writer, snapshot: Option<&Snapshot>) {
    frame.flag(snapshot.is_some());
    if let Some(snapshot) = snapshot {
        frame.text(&snapshot.stream);
        frame.number(snapshot.version);
        frame.text(&snapshot.schema);
        write_payload(frame, &snapshot.data);
    }
}

fn write_recorded(frame: &mut Writer, event: &RecordedEvent) {
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
