//! Runs a scenario's steps against a store.

use std::collections::HashMap;
use std::time::Duration;

use futures::TryStreamExt;
use serde_json::{Value, json};
use streamkeep::{Error, EventStore, Item};

use super::compare::{difference, resolve};
use super::convert::{self, Args, Taken};
use super::operations::{open_options, perform, subscribe_options};
use super::{Outcome, Scenario, Step};
use crate::harness::Room;

const LIMIT: Duration = Duration::from_secs(30);

/// Why a step has no answer.
pub(super) enum Stop {
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

pub(super) type Answer = Result<Value, Stop>;

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
        let args = Args::of(resolve(&Value::Object(step.args.clone()), &self.saved)?)?;
        if let (Some(handle), "open") = (&step.new_handle, step.op.as_str()) {
            return self.open(args, handle.clone()).await;
        }
        let store = self.stores.get(&step.on).cloned().ok_or_else(|| format!("unknown handle '{}'", step.on))?;
        match step.op.as_str() {
            "subscribe" => self.subscribe(&store, args, step).await,
            "close" => {
                args.end()?;
                Ok(json!(store.close().await?))
            }
            operation => perform(&store, operation, args).await,
        }
    }

    async fn open(&mut self, mut args: Args, handle: String) -> Answer {
        let mut options = self.room.options_with(&args.optional("url", convert::text)?.unwrap_or_default());
        if let Some(namespace) = args.optional("namespace", convert::text)? {
            options = options.namespace(format!("{}_{namespace}", self.room.namespace()));
        }
        options = open_options(options, &mut args)?;
        args.end()?;
        self.stores.insert(handle, options.open().await?);
        Ok(Value::Null)
    }

    async fn subscribe(&mut self, store: &EventStore, mut args: Args, step: &Step) -> Answer {
        let options = subscribe_options(&mut args)?;
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
