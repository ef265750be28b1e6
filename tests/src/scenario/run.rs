//! Runs a scenario's steps against a store.

use std::collections::HashMap;
use std::time::Duration;

use futures::TryStreamExt;
use serde_json::{Value, json};
use streamkeep::{
    AppendOptions, Error, EventStore, Item, ReadAllOptions, ReadOptions, ReadPageOptions, RecordedEvent,
    SubscribeOptions,
};

use super::compare::{difference, resolve};
use super::convert::{self, Args, Taken};
use super::{Outcome, Scenario, Step};
use crate::harness::Room;

const LIMIT: Duration = Duration::from_secs(30);

/// Why a step has no answer.
enum Stop {
    /// The store answered with an error, which may be what the step expects.
    Refused(Error),
    /// The scenario is wrong.
    Wrong(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<String> for Stop {
    fn from(wrong: String) -> Self {
        Self::Wrong(wrong)
    }
}

type Answer = Result<Value, Stop>;

struct Runner {
    room: Room,
    stores: HashMap<String, EventStore>,
    saved: HashMap<String, Value>,
}

/// Runs a scenario. Returns what differs from the expectation, if anything.
pub(super) async fn run(scenario: &Scenario, room: Room) -> Taken<()> {
    let mut runner = Runner { room, stores: HashMap::new(), saved: HashMap::new() };
    tokio::time::timeout(LIMIT, runner.all_steps(scenario))
        .await
        .unwrap_or_else(|_| Err(format!("the scenario took longer than {LIMIT:?}")))
}

impl Runner {
    async fn all_steps(&mut self, scenario: &Scenario) -> Taken<()> {
        let opened = self.open(Args(scenario.open.clone()), "store".to_owned()).await;
        opened.map_err(|stop| format!("opening: {}", message_of(&stop)))?;
        for (index, step) in scenario.steps.iter().enumerate() {
            self.step(step).await.map_err(|error| format!("step {} ({}): {error}", index + 1, step.op))?;
        }
        for store in self.stores.values() {
            store.close().await.map_err(|error| format!("closing: {error}"))?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Taken<()> {
        let answer = self.answer(step).await;
        match (&step.outcome, answer) {
            (_, Err(Stop::Wrong(wrong))) => Err(wrong),
            (Outcome::Error(expected), Err(Stop::Refused(error))) => {
                differs(&resolve(expected, &self.saved)?, &attributes(&error)?)
            }
            (Outcome::Error(expected), Ok(answer)) => Err(format!("expected the error {expected}, got {answer}")),
            (_, Err(Stop::Refused(error))) => Err(format!("failed: {error}")),
            (outcome, Ok(answer)) => {
                if let Outcome::Answer(expected) = outcome {
                    differs(&resolve(expected, &self.saved)?, &answer)?;
                }
                if let Some(name) = &step.save {
                    self.saved.insert(name.clone(), answer);
                }
                Ok(())
            }
        }
    }

    async fn answer(&mut self, step: &Step) -> Answer {
        let mut args = Args::of(resolve(&Value::Object(step.args.clone()), &self.saved)?)?;
        if let (Some(handle), "open") = (&step.new_handle, step.op.as_str()) {
            return self.open(args, handle.clone()).await;
        }
        let store = self.stores.get(&step.on).cloned().ok_or_else(|| format!("unknown handle '{}'", step.on))?;
        match step.op.as_str() {
            "append" => append(&store, args).await,
            "import_events" => import_events(&store, args).await,
            "read" => read(&store, args).await,
            "read_all" => read_all(&store, args).await,
            "read_page" => read_page(&store, args).await,
            "subscribe" => self.subscribe(&store, args, step).await,
            "save_snapshot" => {
                let snapshot = args.required("snapshot", convert::snapshot)?;
                args.end()?;
                Ok(json!(store.save_snapshot(snapshot).await?))
            }
            "load_snapshot" => load_snapshot(&store, args).await,
            "head" => {
                args.end()?;
                Ok(json!(store.head().await?))
            }
            "close" => {
                args.end()?;
                Ok(json!(store.close().await?))
            }
            other => Err(Stop::Wrong(format!("unknown operation '{other}'"))),
        }
    }

    async fn open(&mut self, mut args: Args, handle: String) -> Answer {
        let mut options = self.room.options_with(&args.optional("url", convert::text)?.unwrap_or_default());
        if let Some(namespace) = args.optional("namespace", convert::text)? {
            options = options.namespace(format!("{}_{namespace}", self.room.namespace()));
        }
        if let Some(create) = args.optional("create", convert::flag)? {
            options = options.create(create);
        }
        if let Some(insecure) = args.optional("insecure", convert::flag)? {
            options = options.insecure(insecure);
        }
        if let Some(durability) = args.optional("durability", convert::durability)? {
            options = options.durability(durability);
        }
        if let Some(timeout) = args.optional("timeout_ms", convert::millis)? {
            options = options.timeout(timeout);
        }
        if let Some(interval) = args.optional("poll_interval_ms", convert::millis)? {
            options = options.poll_interval(interval);
        }
        if let Some(connections) = args.optional("max_connections", convert::number)? {
            options = options.max_connections(u32::try_from(connections).map_err(|error| error.to_string())?);
        }
        args.end()?;
        self.stores.insert(handle, options.open().await?);
        Ok(Value::Null)
    }

    async fn subscribe(&mut self, store: &EventStore, mut args: Args, step: &Step) -> Answer {
        let options = SubscribeOptions {
            query: args.optional("query", convert::query)?.unwrap_or_default(),
            start: args.optional("start", convert::start)?,
            after: args.optional("after", convert::number)?,
        };
        args.end()?;
        let mut subscription = store.subscribe(options);
        let (mut events, mut caught_up) = (Vec::new(), false);
        while step.take.is_none_or(|take| events.len() < take) {
            match subscription.try_next().await? {
                Some(Item::Event(event)) => events.push(event),
                Some(Item::CaughtUp) if caught_up => {}
                Some(Item::CaughtUp) => {
                    caught_up = true;
                    for step in &step.when_caught_up {
                        Box::pin(self.step(step))
                            .await
                            .map_err(|error| format!("when caught up ({}): {error}", step.op))?;
                    }
                    if step.take.is_none() {
                        break;
                    }
                }
                None => return Err(Stop::Wrong("the subscription ended".to_owned())),
            }
        }
        if !step.when_caught_up.is_empty() && !caught_up {
            return Err(Stop::Wrong("the subscription did not report that it caught up".to_owned()));
        }
        Ok(convert::events_value(&events))
    }
}

async fn append(store: &EventStore, mut args: Args) -> Answer {
    let options = AppendOptions {
        expected: args.optional("expected", convert::expected)?.unwrap_or_default(),
        timeout: args.optional("timeout_ms", convert::millis)?,
    };
    let (stream, events) = (
        args.required("stream", convert::text)?,
        args.required("events", |events| convert::list(events, convert::event))?,
    );
    args.end()?;
    let done = store.append(stream, events, options).await?;
    Ok(json!({"version": done.version, "position": done.position, "repeated": done.repeated}))
}

async fn import_events(store: &EventStore, mut args: Args) -> Answer {
    let events = args.required("events", |events| convert::list(events, convert::import_event))?;
    args.end()?;
    let done = store.import_events(events).await?;
    Ok(json!({"imported": done.imported, "passed_over": done.passed_over, "position": done.position}))
}

async fn read(store: &EventStore, mut args: Args) -> Answer {
    let (stream, defaults) = (args.required("stream", convert::text)?, ReadOptions::default());
    let options = ReadOptions {
        from_version: args.optional("from_version", convert::number)?.unwrap_or(defaults.from_version),
        to_version: args.optional("to_version", convert::number)?.unwrap_or(defaults.to_version),
        direction: args.optional("direction", convert::direction)?.unwrap_or_default(),
        limit: args.optional("limit", convert::number)?,
        timeout: args.optional("timeout_ms", convert::millis)?,
    };
    args.end()?;
    let events: Vec<RecordedEvent> = store.read(stream, options).try_collect().await?;
    Ok(convert::events_value(&events))
}

async fn read_all(store: &EventStore, mut args: Args) -> Answer {
    let options = ReadAllOptions {
        after: args.optional("after", convert::number)?.unwrap_or_default(),
        before: args.optional("before", convert::number)?,
        query: args.optional("query", convert::query)?.unwrap_or_default(),
        direction: args.optional("direction", convert::direction)?.unwrap_or_default(),
        limit: args.optional("limit", convert::number)?,
        timeout: args.optional("timeout_ms", convert::millis)?,
    };
    args.end()?;
    let events: Vec<RecordedEvent> = store.read_all(options).try_collect().await?;
    Ok(convert::events_value(&events))
}

async fn read_page(store: &EventStore, mut args: Args) -> Answer {
    let options = ReadPageOptions {
        after: args.optional("after", convert::number)?.unwrap_or_default(),
        query: args.optional("query", convert::query)?.unwrap_or_default(),
        limit: args.optional("limit", convert::number)?,
        timeout: args.optional("timeout_ms", convert::millis)?,
    };
    args.end()?;
    let page = store.read_page(options).await?;
    Ok(json!({"events": convert::events_value(&page.events), "reached": page.reached, "caught_up": page.caught_up}))
}

async fn load_snapshot(store: &EventStore, mut args: Args) -> Answer {
    let (stream, schema) = (args.required("stream", convert::text)?, args.required("schema", convert::text)?);
    let at_or_before = args.optional("at_or_before", convert::number)?;
    args.end()?;
    let snapshot = store.load_snapshot(stream, schema, at_or_before).await?;
    Ok(snapshot.as_ref().map_or(Value::Null, convert::snapshot_value))
}

/// The error as every language has it, with the details of its kind.
fn attributes(error: &Error) -> Taken<Value> {
    let mut data: Value =
        serde_json::from_str(&error.to_json()).map_err(|error| format!("the error is not JSON: {error}"))?;
    let fields = data.get_mut("fields").map(Value::take);
    if let (Value::Object(data), Some(Value::Object(fields))) = (&mut data, fields) {
        data.remove("fields");
        data.extend(fields);
    }
    Ok(data)
}

fn differs(expected: &Value, actual: &Value) -> Taken<()> {
    difference(expected, actual, "answer").map_or(Ok(()), Err)
}

fn message_of(stop: &Stop) -> String {
    match stop {
        Stop::Refused(error) => error.to_string(),
        Stop::Wrong(wrong) => wrong.clone(),
    }
}
