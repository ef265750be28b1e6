//! Checks `surface.json` against the sources of the crate and the scenarios: the crate has exactly its entries, and a
//! scenario uses each.

mod called;
mod source;

use std::collections::BTreeSet;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::harness::TESTS;
use crate::suite::alone;

/// The checks.
pub fn trials() -> Vec<Trial> {
    vec![
        alone(
            "surface: the crate has the methods and options of surface.json and no others",
            source::methods_and_options,
        ),
        alone("surface: the crate's types have the fields of surface.json and no others", source::types_and_errors),
        alone("surface: every method, option and field is in a scenario", called::everything),
    ]
}

/// The parsed file.
fn surface() -> Result<Value, String> {
    let text = std::fs::read_to_string(TESTS.join("../generate/surface.json")).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn is_for(entry: &Value, language: &str) -> bool {
    entry["only"].as_array().is_none_or(|languages| languages.iter().any(|only| only == language))
}

/// The names of the entries of a part, for example of a method's options, that a language has.
fn names(entry: &Value, part: &str, language: &str) -> BTreeSet<String> {
    let entries = entry[part].as_array().into_iter().flatten().filter(|entry| is_for(entry, language));
    entries.filter_map(|entry| entry["name"].as_str().map(str::to_owned)).collect()
}

/// The names of the fields of a type, and of the words of a value.
fn fields(surface: &Value, of: &str) -> BTreeSet<String> {
    names(&surface["types"][of], "fields", "every language")
}

fn words(surface: &Value, of: &str) -> BTreeSet<String> {
    names(&surface["values"][of], "words", "every language")
}

fn strings(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Reports the entries that only one of the two sets has.
fn compare(what: &str, expected: &BTreeSet<String>, actual: &BTreeSet<String>) -> Result<(), String> {
    let missing: Vec<_> = expected.difference(actual).collect();
    let unknown: Vec<_> = actual.difference(expected).collect();
    if missing.is_empty() && unknown.is_empty() {
        Ok(())
    } else {
        Err(format!("{what}: missing {missing:?}, not in surface.json {unknown:?}"))
    }
}

fn all(results: impl IntoIterator<Item = Result<(), String>>) -> Result<(), String> {
    let wrong: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}
