//! Checks that the scenarios use the whole surface.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{all, compare, fields, names, surface, words};
use crate::scenario::{self, Outcome, Step};

/// Durations have their unit in the names of a scenario.
const UNIT: &str = "_ms";

/// Checks that a scenario uses each method, argument, option, field, value and error code that all languages have.
///
/// The suite's own cases test the error codes that need damage or an outage.
pub(super) fn everything() -> Result<(), String> {
    let surface = surface()?;
    let used = Used::by_scenarios();
    let methods = surface["store"]
        .as_object()
        .ok_or("surface.json must have a store")?
        .iter()
        .filter(|(_, method)| method["only"].is_null());
    let each = methods.map(|(name, method)| {
        let mut expected: BTreeSet<String> =
            ["arguments", "options"].into_iter().flat_map(|part| names(method, part, "every language")).collect();
        let mut called = used.keys_of(name);
        if !used.calls.contains(name) {
            return Err(format!("no scenario calls {name}"));
        }
        expected.retain(|argument| !called.remove(argument));
        if expected.is_empty() { Ok(()) } else { Err(format!("no scenario calls {name} with {expected:?}")) }
    });
    let types =
        ["event", "recorded_event", "import_event", "append_result", "import_result", "page", "query_item", "snapshot"];
    let each_field = types.map(|of| {
        let missing: Vec<String> =
            fields(&surface, of).into_iter().filter(|field| !used.words.contains(field)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("no scenario has {of} with {missing:?}")) }
    });
    let known = surface["types"].as_object().map(|types| types.keys().cloned().collect()).unwrap_or_default();
    let same_types = compare("the types looked for", &types.map(str::to_owned).into(), &known);
    let values = surface["values"].as_object().into_iter().flatten().flat_map(|(of, _)| words(&surface, of));
    let values = values.map(|value| {
        if used.words.contains(&value) { Ok(()) } else { Err(format!("no scenario uses the value '{value}'")) }
    });
    all(each.chain(each_field).chain([same_types]).chain(values))
}

#[derive(Default)]
struct Used {
    calls: BTreeSet<String>,
    arguments: BTreeSet<(String, String)>,
    /// Every key and every text of any scenario.
    words: BTreeSet<String>,
}

impl Used {
    fn by_scenarios() -> Self {
        let mut used = Self::default();
        for scenario in scenario::all().into_values() {
            used.arguments.extend(scenario.open.keys().map(|key| ("open".to_owned(), key.clone())));
            scenario.open.iter().for_each(|(key, value)| used.words_of(key, value));
            scenario.steps.iter().for_each(|step| used.step(step));
        }
        used
    }

    fn step(&mut self, step: &Step) {
        self.calls.insert(step.op.clone());
        let without_unit = |key: &String| key.strip_suffix(UNIT).unwrap_or(key).to_owned();
        self.arguments.extend(step.args.keys().map(|key| (step.op.clone(), without_unit(key))));
        step.args.iter().for_each(|(key, value)| self.words_of(key, value));
        match &step.outcome {
            Outcome::Answer(value) | Outcome::Error(value) => self.words_of("", value),
            Outcome::Anything => {}
        }
        step.when_caught_up.iter().for_each(|step| self.step(step));
    }

    fn words_of(&mut self, key: &str, value: &Value) {
        self.words.insert(key.to_owned());
        match value {
            Value::String(text) => drop(self.words.insert(text.clone())),
            Value::Array(items) => items.iter().for_each(|item| self.words_of(key, item)),
            Value::Object(map) => map.iter().for_each(|(key, value)| self.words_of(key, value)),
            _ => {}
        }
    }

    fn keys_of(&self, method: &str) -> BTreeSet<String> {
        self.arguments.iter().filter(|(of, _)| of == method).map(|(_, argument)| argument.clone()).collect()
    }
}
