// Generated from generate/surface.json by `make generate`. Do not edit it.

//! The operations: their numbers, how each reads its request, calls core, and writes its answer.

use futures::FutureExt;
use streamkeep::EventStore;

use crate::convert;
use crate::error::Failure;
use crate::frame::{Reader, Writer};
use crate::store::{Reading, Work, answer, timed};

type Read<T> = Result<T, Failure>;

pub(crate) const APPEND: u8 = 16;
pub(crate) const CLOSE: u8 = 17;
pub(crate) const HEAD: u8 = 18;
pub(crate) const IMPORT_EVENTS: u8 = 19;
pub(crate) const LAST: u8 = 20;
pub(crate) const LOAD_SNAPSHOT: u8 = 21;
pub(crate) const OPEN: u8 = 22;
pub(crate) const READ: u8 = 23;
pub(crate) const READ_ALL: u8 = 24;
pub(crate) const READ_PAGE: u8 = 25;
pub(crate) const SAVE_SNAPSHOT: u8 = 26;
pub(crate) const SUBSCRIBE: u8 = 27;

/// The name of an operation, as every language's errors have it.
pub(crate) const fn name(operation: u8) -> &'static str {
    match operation {
        APPEND => "append",
        CLOSE => "close",
        HEAD => "head",
        IMPORT_EVENTS => "import_events",
        LAST => "last",
        LOAD_SNAPSHOT => "load_snapshot",
        OPEN => "open",
        READ => "read",
        READ_ALL => "read_all",
        READ_PAGE => "read_page",
        SAVE_SNAPSHOT => "save_snapshot",
        SUBSCRIBE => "subscribe",
        _ => "next",
    }
}

/// Reads the request of an operation with one answer.
pub(crate) fn prepare(operation: u8, store: EventStore, frame: &mut Reader<'_>) -> Read<Work> {
    match operation {
        APPEND => append(store, frame),
        HEAD => head(store, frame),
        IMPORT_EVENTS => import_events(store, frame),
        LAST => last(store, frame),
        LOAD_SNAPSHOT => load_snapshot(store, frame),
        READ_PAGE => read_page(store, frame),
        SAVE_SNAPSHOT => save_snapshot(store, frame),
        _ => Err(Failure::internal("an unknown operation")),
    }
}

/// Whether an operation makes a reader.
pub(crate) const fn reads(operation: u8) -> bool {
    matches!(operation, READ | READ_ALL | SUBSCRIBE)
}

/// Reads the request of an operation that makes a reader.
pub(crate) fn begin(operation: u8, store: EventStore, frame: &mut Reader<'_>) -> Read<Reading> {
    match operation {
        READ => {
            let stream = frame.text()?;
            let options = read_options(frame)?;
            let reader = store.read(stream, options);
            Ok(Reading::pages(store, reader))
        }
        READ_ALL => {
            let options = read_all_options(frame)?;
            let reader = store.read_all(options);
            Ok(Reading::pages(store, reader))
        }
        SUBSCRIBE => {
            let options = subscribe_options(frame)?;
            let reader = store.subscribe(options);
            Ok(Reading::subscription(reader))
        }
        _ => Err(Failure::internal("an unknown operation")),
    }
}

fn append(store: EventStore, frame: &mut Reader<'_>) -> Read<Work> {
    let stream = frame.text()?;
    let events = frame.list(convert::event)?;
    let options = append_options(frame)?;
    Ok(async move { answer(|frame, answer| append_result(frame, &answer), store.append(stream, events, options).await?) }.boxed())
}

fn head(store: EventStore, frame: &mut Reader<'_>) -> Read<Work> {
    let store = timed(store, frame)?;
    Ok(async move { answer(|frame, answer| frame.number(answer), store.head().await?) }.boxed())
}

fn import_events(store: EventStore, frame: &mut Reader<'_>) -> Read<Work> {
    let events = frame.list(convert::import_event)?;
    let store = timed(store, frame)?;
    Ok(async move { answer(|frame, answer| import_result(frame, &answer), store.import_events(events).await?) }.boxed())
}

fn last(store: EventStore, frame: &mut Reader<'_>) -> Read<Work> {
    let stream = frame.text()?;
    let store = timed(store, frame)?;
    Ok(async move {
        answer(|frame, answer| frame.optional(answer.as_ref(), convert::write_recorded), store.last(stream).await?)
    }
    .boxed())
}

fn load_snapshot(store: EventStore, frame: &mut Reader<'_>) -> Read<Work> {
    let stream = frame.text()?;
    let schema = frame.text()?;
    let at_or_before = frame.optional(|frame| frame.number("at_or_before"))?;
    let store = timed(store, frame)?;
    Ok(async move {
        answer(
            |frame, answer| frame.optional(answer.as_ref(), convert::write_snapshot),
            store.load_snapshot(stream, schema, at_or_before).await?,
        )
    }
    .boxed())
}

fn read_page(store: EventStore, frame: &mut Reader<'_>) -> Read<Work> {
    let options = read_page_options(frame)?;
    Ok(async move { answer(|frame, answer| page(frame, &answer), store.read_page(options).await?) }.boxed())
}

fn save_snapshot(store: EventStore, frame: &mut Reader<'_>) -> Read<Work> {
    let snapshot = convert::snapshot(frame)?;
    let store = timed(store, frame)?;
    Ok(async move { answer(|_, ()| (), store.save_snapshot(snapshot).await?) }.boxed())
}

/// Sets the options that are given.
pub(crate) fn open_options(
    mut options: streamkeep::OpenOptions,
    frame: &mut Reader<'_>,
) -> Read<streamkeep::OpenOptions> {
    if let Some(given) = frame.optional(|frame| frame.text())? {
        options = options.namespace(given);
    }
    if let Some(given) = frame.optional(|frame| frame.flag())? {
        options = options.create(given);
    }
    if let Some(given) = frame.optional(|frame| durability(frame))? {
        options = options.durability(given);
    }
    if let Some(given) = frame.optional_duration("timeout")? {
        options = options.timeout(given);
    }
    if let Some(given) = frame.optional_duration("poll_interval")? {
        options = options.poll_interval(given);
    }
    if let Some(given) = frame.optional(|frame| convert::small_number(frame, "max_connections"))? {
        options = options.max_connections(given);
    }
    if let Some(given) = frame.optional(|frame| frame.flag())? {
        options = options.insecure(given);
    }
    Ok(options)
}

fn append_options(frame: &mut Reader<'_>) -> Read<streamkeep::AppendOptions> {
    Ok(streamkeep::AppendOptions { expected: expected(frame)?, timeout: frame.optional_duration("timeout")? })
}

fn read_options(frame: &mut Reader<'_>) -> Read<streamkeep::ReadOptions> {
    Ok(streamkeep::ReadOptions {
        from_version: frame.number("from_version")?,
        to_version: frame.optional(|frame| frame.number("to_version"))?.unwrap_or(u64::MAX),
        direction: direction(frame)?,
        limit: frame.optional(|frame| frame.number("limit"))?,
        timeout: frame.optional_duration("timeout")?,
    })
}

fn read_all_options(frame: &mut Reader<'_>) -> Read<streamkeep::ReadAllOptions> {
    Ok(streamkeep::ReadAllOptions {
        after: frame.number("after")?,
        before: frame.optional(|frame| frame.number("before"))?,
        query: convert::query(frame)?,
        direction: direction(frame)?,
        limit: frame.optional(|frame| frame.number("limit"))?,
        timeout: frame.optional_duration("timeout")?,
    })
}

fn read_page_options(frame: &mut Reader<'_>) -> Read<streamkeep::ReadPageOptions> {
    Ok(streamkeep::ReadPageOptions {
        after: frame.number("after")?,
        query: convert::query(frame)?,
        limit: frame.optional(|frame| frame.number("limit"))?,
        timeout: frame.optional_duration("timeout")?,
    })
}

fn subscribe_options(frame: &mut Reader<'_>) -> Read<streamkeep::SubscribeOptions> {
    Ok(streamkeep::SubscribeOptions {
        query: convert::query(frame)?,
        start: frame.optional(|frame| start(frame))?,
        after: frame.optional(|frame| frame.number("after"))?,
    })
}

fn append_result(frame: &mut Writer, result: &streamkeep::AppendResult) {
    frame.number(result.version);
    frame.number(result.position);
    frame.flag(result.repeated);
}

fn import_result(frame: &mut Writer, result: &streamkeep::ImportResult) {
    frame.number(result.imported);
    frame.number(result.passed_over);
    frame.number(result.position);
}

fn page(frame: &mut Writer, result: &streamkeep::Page) {
    convert::write_events(frame, &result.events);
    frame.number(result.reached);
    frame.flag(result.caught_up);
}

fn direction(frame: &mut Reader<'_>) -> Read<streamkeep::Direction> {
    match frame.byte()? {
        0 => Ok(streamkeep::Direction::Forward),
        1 => Ok(streamkeep::Direction::Backward),
        _ => Err(Failure::internal("direction is none of its words")),
    }
}

fn durability(frame: &mut Reader<'_>) -> Read<streamkeep::Durability> {
    match frame.byte()? {
        0 => Ok(streamkeep::Durability::Full),
        1 => Ok(streamkeep::Durability::Relaxed),
        _ => Err(Failure::internal("durability is none of its words")),
    }
}

fn expected(frame: &mut Reader<'_>) -> Read<streamkeep::ExpectedVersion> {
    match frame.byte()? {
        0 => Ok(streamkeep::ExpectedVersion::Any),
        1 => Ok(streamkeep::ExpectedVersion::NoStream),
        2 => Ok(streamkeep::ExpectedVersion::StreamExists),
        3 => Ok(streamkeep::ExpectedVersion::Exact(frame.number("expected")?)),
        _ => Err(Failure::internal("expected is none of its words")),
    }
}

fn start(frame: &mut Reader<'_>) -> Read<streamkeep::Start> {
    match frame.byte()? {
        0 => Ok(streamkeep::Start::Beginning),
        1 => Ok(streamkeep::Start::Now),
        _ => Err(Failure::internal("start is none of its words")),
    }
}
