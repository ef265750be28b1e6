//! The runner of `scenarios/*.json` in Rust; `scenarios/README.md` describes the format.

mod compare;
mod convert;
mod operations;
mod proof;
mod run;

use std::collections::BTreeMap;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::{Map, Value};

use crate::harness::{BACKENDS, Room, TESTS};
use crate::suite::{CASE_LIMIT, Inserts, in_time, trial};

/// A scenario of a file.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it shows, as a sentence.
    pub name: String,
    /// The options of the first handle.
    pub open: Map<String, Value>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One operation and its expected answer.
#[derive(Clone, Debug)]
pub struct Step {
    /// The operation.
    pub op: String,
    /// Its arguments.
    pub args: Map<String, Value>,
    /// The handle that it uses.
    pub on: String,
    /// The name of the handle that `open` makes.
    pub new_handle: Option<String>,
    /// The expected outcome.
    pub outcome: Outcome,
    /// The name under which the answer is kept.
    pub save: Option<String>,
    /// How many events of a subscription to take.
    pub take: Option<usize>,
    /// The steps to run when a subscription has caught up.
    pub when_caught_up: Vec<Self>,
}

/// The expected outcome of a step.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// An answer that agrees with this one.
    Answer(Value),
    /// An error that agrees with this one.
    Error(Value),
    /// Any answer.
    Anything,
}

/// All scenarios, by the names of their files.
///
/// # Panics
/// When a file cannot be read or does not have the format.
#[must_use]
pub fn all() -> BTreeMap<String, Scenario> {
    let files = std::fs::read_dir(TESTS.join("scenarios")).expect("the folder of scenarios is read");
    let paths = files
        .map(|file| file.expect("the folder is read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.map(|path| (file_name(&path), read(&path))).collect()
}

fn file_name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Scenario {
    let text = std::fs::read_to_string(path).expect("the file is read");
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(value).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse(value: Value) -> Result<Scenario, String> {
    let Value::Object(mut top) = value else { return Err("a scenario must be an object".to_owned()) };
    let name = text(top.remove("name"))?.ok_or("a scenario must have a name")?;
    let steps = steps(top.remove("steps"))?;
    let open = object(top.remove("open"))?;
    nothing_left(&top)?;
    if steps.is_empty() { Err("a scenario must have steps".to_owned()) } else { Ok(Scenario { name, open, steps }) }
}

fn steps(value: Option<Value>) -> Result<Vec<Step>, String> {
    match value {
        Some(Value::Array(steps)) => steps.into_iter().map(step).collect(),
        None => Ok(Vec::new()),
        Some(other) => Err(format!("not a list of steps: {other}")),
    }
}

fn step(value: Value) -> Result<Step, String> {
    let Value::Object(mut step) = value else { return Err(format!("not a step: {value}")) };
    let outcome = match (step.remove("expect"), step.remove("error")) {
        (Some(answer), None) => Outcome::Answer(answer),
        (None, Some(error)) => Outcome::Error(error),
        (None, None) => Outcome::Anything,
        (Some(_), Some(_)) => return Err("a step must not have both expect and error".to_owned()),
    };
    let take = match step.remove("take") {
        Some(take) => Some(take.as_u64().and_then(|take| usize::try_from(take).ok()).ok_or("take must be a number")?),
        None => None,
    };
    let parsed = Step {
        op: text(step.remove("op"))?.ok_or("a step must have an op")?,
        args: object(step.remove("args"))?,
        on: text(step.remove("on"))?.unwrap_or_else(|| "store".to_owned()),
        new_handle: text(step.remove("as"))?,
        outcome,
        save: text(step.remove("save"))?,
        take,
        when_caught_up: steps(step.remove("when_caught_up"))?,
    };
    nothing_left(&step)?;
    let subscribes = parsed.take.is_some() || !parsed.when_caught_up.is_empty();
    if (parsed.op == "open") != parsed.new_handle.is_some() || (subscribes && parsed.op != "subscribe") {
        return Err(format!("'as' belongs to open, 'take' and 'when_caught_up' to subscribe: {parsed:?}"));
    }
    Ok(parsed)
}

fn text(value: Option<Value>) -> Result<Option<String>, String> {
    match value {
        Some(Value::String(text)) => Ok(Some(text)),
        None => Ok(None),
        Some(other) => Err(format!("not a text: {other}")),
    }
}

fn object(value: Option<Value>) -> Result<Map<String, Value>, String> {
    match value {
        Some(Value::Object(object)) => Ok(object),
        None => Ok(Map::new()),
        Some(other) => Err(format!("not an object: {other}")),
    }
}

/// Fails on keys that the runner does not know.
pub(crate) fn nothing_left(rest: &Map<String, Value>) -> Result<(), String> {
    rest.keys().next().map_or(Ok(()), |key| Err(format!("unknown key '{key}'")))
}

/// Every scenario on every backend, and scenarios on which the runner must fail.
pub fn trials() -> Vec<Trial> {
    let scenarios = all();
    let each = scenarios
        .into_iter()
        .flat_map(|(file, scenario)| BACKENDS.map(|backend| (backend, file.clone(), scenario.clone())));
    let run = |scenario: Scenario, room: Room| async move {
        assert_eq!(run::run(&scenario, room).await, Ok(()), "'{}'", scenario.name)
    };
    let mut trials: Vec<Trial> = each
        .map(|(backend, file, scenario)| {
            trial(backend, &format!("scenario {file}"), None, Inserts::Few, move |room| {
                in_time(CASE_LIMIT * backend.patience(), run(scenario, room))
            })
        })
        .collect();
    trials.push(Trial::test("the scenario runner fails on unknown keys and unexpected answers", || {
        proof::fails_on_wrong_scenarios();
        Ok(())
    }));
    trials
}
