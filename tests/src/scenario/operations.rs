// Generated from generate/surface.json by `make generate`. Do not edit it.

//! The operations of a scenario: each takes its arguments, calls the store, and tells the answer.

use futures::TryStreamExt;
use serde_json::{Value, json};
use streamkeep::EventStore;

use super::convert::{self, Args, Taken};
use super::run::{Answer, Stop};

/// Runs an operation on a store. The runner itself opens, closes and subscribes.
pub(super) async fn perform(store: &EventStore, operation: &str, args: Args) -> Answer {
    match operation {
        "append" => append(store, args).await,
        "head" => head(store, args).await,
        "import_events" => import_events(store, args).await,
        "last" => last(store, args).await,
        "load_snapshot" => load_snapshot(store, args).await,
        "read" => read(store, args).await,
        "read_all" => read_all(store, args).await,
        "read_page" => read_page(store, args).await,
        "save_snapshot" => save_snapshot(store, args).await,
        other => Err(Stop::Wrong(format!("unknown operation '{other}'"))),
    }
}

async fn append(store: &EventStore, mut args: Args) -> Answer {
    let stream = args.required("stream", convert::text)?;
    let events = args.required("events", |given| convert::list(given, convert::event))?;
    let options = append_options(&mut args)?;
    args.end()?;
    let answer = store.append(stream, events, options).await?;
    Ok(append_result_value(&answer))
}

async fn head(store: &EventStore, mut args: Args) -> Answer {
    let store = convert::within(store, &mut args)?;
    args.end()?;
    let answer = store.head().await?;
    Ok(json!(answer))
}

async fn import_events(store: &EventStore, mut args: Args) -> Answer {
    let events = args.required("events", |given| convert::list(given, convert::import_event))?;
    let store = convert::within(store, &mut args)?;
    args.end()?;
    let answer = store.import_events(events).await?;
    Ok(import_result_value(&answer))
}

async fn last(store: &EventStore, mut args: Args) -> Answer {
    let stream = args.required("stream", convert::text)?;
    let store = convert::within(store, &mut args)?;
    args.end()?;
    let answer = store.last(stream).await?;
    Ok(answer.as_ref().map_or(Value::Null, convert::event_value))
}

async fn load_snapshot(store: &EventStore, mut args: Args) -> Answer {
    let stream = args.required("stream", convert::text)?;
    let schema = args.required("schema", convert::text)?;
    let at_or_before = args.optional("at_or_before", convert::number)?;
    let store = convert::within(store, &mut args)?;
    args.end()?;
    let answer = store.load_snapshot(stream, schema, at_or_before).await?;
    Ok(answer.as_ref().map_or(Value::Null, convert::snapshot_value))
}

async fn read(store: &EventStore, mut args: Args) -> Answer {
    let stream = args.required("stream", convert::text)?;
    let options = read_options(&mut args)?;
    args.end()?;
    let answer: Vec<_> = store.read(stream, options).try_collect().await?;
    Ok(convert::events_value(&answer))
}

async fn read_all(store: &EventStore, mut args: Args) -> Answer {
    let options = read_all_options(&mut args)?;
    args.end()?;
    let answer: Vec<_> = store.read_all(options).try_collect().await?;
    Ok(convert::events_value(&answer))
}

async fn read_page(store: &EventStore, mut args: Args) -> Answer {
    let options = read_page_options(&mut args)?;
    args.end()?;
    let answer = store.read_page(options).await?;
    Ok(page_value(&answer))
}

async fn save_snapshot(store: &EventStore, mut args: Args) -> Answer {
    let snapshot = args.required("snapshot", convert::snapshot)?;
    let store = convert::within(store, &mut args)?;
    args.end()?;
    store.save_snapshot(snapshot).await?;
    Ok(Value::Null)
}

pub(super) fn append_options(args: &mut Args) -> Taken<streamkeep::AppendOptions> {
    let mut options = streamkeep::AppendOptions::default();
    if let Some(expected) = args.optional("expected", expected)? {
        options.expected = expected;
    }
    options.timeout = args.optional("timeout_ms", convert::millis)?;
    Ok(options)
}

pub(super) fn read_options(args: &mut Args) -> Taken<streamkeep::ReadOptions> {
    let mut options = streamkeep::ReadOptions::default();
    if let Some(from_version) = args.optional("from_version", convert::number)? {
        options.from_version = from_version;
    }
    if let Some(to_version) = args.optional("to_version", convert::number)? {
        options.to_version = to_version;
    }
    if let Some(direction) = args.optional("direction", direction)? {
        options.direction = direction;
    }
    options.limit = args.optional("limit", convert::number)?;
    options.timeout = args.optional("timeout_ms", convert::millis)?;
    Ok(options)
}

pub(super) fn read_all_options(args: &mut Args) -> Taken<streamkeep::ReadAllOptions> {
    let mut options = streamkeep::ReadAllOptions::default();
    if let Some(after) = args.optional("after", convert::number)? {
        options.after = after;
    }
    options.before = args.optional("before", convert::number)?;
    if let Some(query) = args.optional("query", convert::query)? {
        options.query = query;
    }
    if let Some(direction) = args.optional("direction", direction)? {
        options.direction = direction;
    }
    options.limit = args.optional("limit", convert::number)?;
    options.timeout = args.optional("timeout_ms", convert::millis)?;
    Ok(options)
}

pub(super) fn read_page_options(args: &mut Args) -> Taken<streamkeep::ReadPageOptions> {
    let mut options = streamkeep::ReadPageOptions::default();
    if let Some(after) = args.optional("after", convert::number)? {
        options.after = after;
    }
    if let Some(query) = args.optional("query", convert::query)? {
        options.query = query;
    }
    options.limit = args.optional("limit", convert::number)?;
    options.timeout = args.optional("timeout_ms", convert::millis)?;
    Ok(options)
}

pub(super) fn subscribe_options(args: &mut Args) -> Taken<streamkeep::SubscribeOptions> {
    let mut options = streamkeep::SubscribeOptions::default();
    if let Some(query) = args.optional("query", convert::query)? {
        options.query = query;
    }
    options.start = args.optional("start", start)?;
    options.after = args.optional("after", convert::number)?;
    Ok(options)
}

/// Sets the options that are given.
pub(super) fn open_options(mut options: streamkeep::OpenOptions, args: &mut Args) -> Taken<streamkeep::OpenOptions> {
    if let Some(namespace) = args.optional("namespace", convert::text)? {
        options = options.namespace(namespace);
    }
    if let Some(create) = args.optional("create", convert::flag)? {
        options = options.create(create);
    }
    if let Some(durability) = args.optional("durability", durability)? {
        options = options.durability(durability);
    }
    if let Some(timeout) = args.optional("timeout_ms", convert::millis)? {
        options = options.timeout(timeout);
    }
    if let Some(poll_interval) = args.optional("poll_interval_ms", convert::millis)? {
        options = options.poll_interval(poll_interval);
    }
    if let Some(max_connections) = args.optional("max_connections", convert::small_number)? {
        options = options.max_connections(max_connections);
    }
    if let Some(insecure) = args.optional("insecure", convert::flag)? {
        options = options.insecure(insecure);
    }
    Ok(options)
}

fn append_result_value(result: &streamkeep::AppendResult) -> Value {
    json!({
        "version": json!(result.version),
        "position": json!(result.position),
        "repeated": json!(result.repeated),
    })
}

fn import_result_value(result: &streamkeep::ImportResult) -> Value {
    json!({
        "imported": json!(result.imported),
        "passed_over": json!(result.passed_over),
        "position": json!(result.position),
    })
}

fn page_value(result: &streamkeep::Page) -> Value {
    json!({
        "events": convert::events_value(&result.events),
        "reached": json!(result.reached),
        "caught_up": json!(result.caught_up),
    })
}

fn direction(value: Value) -> Taken<streamkeep::Direction> {
    match value.as_str() {
        Some("forward") => Ok(streamkeep::Direction::Forward),
        Some("backward") => Ok(streamkeep::Direction::Backward),
        _ => Err(format!("unknown direction {value}")),
    }
}

fn durability(value: Value) -> Taken<streamkeep::Durability> {
    match value.as_str() {
        Some("full") => Ok(streamkeep::Durability::Full),
        Some("relaxed") => Ok(streamkeep::Durability::Relaxed),
        _ => Err(format!("unknown durability {value}")),
    }
}

fn expected(value: Value) -> Taken<streamkeep::ExpectedVersion> {
    match value.as_str() {
        Some("any") => Ok(streamkeep::ExpectedVersion::Any),
        Some("no-stream") => Ok(streamkeep::ExpectedVersion::NoStream),
        Some("stream-exists") => Ok(streamkeep::ExpectedVersion::StreamExists),
        _ => convert::number(value).map(streamkeep::ExpectedVersion::Exact),
    }
}

fn start(value: Value) -> Taken<streamkeep::Start> {
    match value.as_str() {
        Some("beginning") => Ok(streamkeep::Start::Beginning),
        Some("now") => Ok(streamkeep::Start::Now),
        _ => Err(format!("unknown start {value}")),
    }
}
