//! The description: `surface.json`, read and checked.

mod check;
mod kind;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::kind::Kind;

/// The languages that an entry can be for.
pub const LANGUAGES: [&str; 4] = ["rust", "python", "node", "jvm"];

/// The whole public surface.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surface {
    /// How to read the file.
    pub about: String,
    /// The methods of the store by name.
    pub store: BTreeMap<String, Method>,
    /// The types by name.
    pub types: BTreeMap<String, Structure>,
    /// The words that stand for values, by the name of their type.
    pub values: BTreeMap<String, Words>,
    /// The errors.
    pub error: Errors,
}

/// How a method answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Makes a store.
    Open,
    /// One answer, later.
    Answer,
    /// Events, pulled page by page.
    Events,
    /// Events without an end, pulled in batches.
    Subscription,
    /// Ends the handle.
    Close,
    /// A value at once, without the database.
    Value,
}

/// A method of the store.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// What it does, in one line.
    pub doc: String,
    /// How it answers.
    pub shape: Shape,
    /// Whether it takes many steps on the database, so that nobody should have to drive it.
    #[serde(default)]
    pub long: bool,
    /// The languages that have it, if not all.
    pub only: Option<Vec<String>>,
    /// What it needs, in this order.
    pub arguments: Vec<Parameter>,
    /// The struct of core that has its options. Without one, core takes them as arguments.
    pub options_type: Option<String>,
    /// What it can be given, by name.
    pub options: Vec<Parameter>,
    /// What it answers. Without it, nothing.
    pub returns: Option<Kind>,
}

/// An argument or an option.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What it means, in one line.
    pub doc: String,
    /// The value of an option that is not given. `unbounded` is a number that is not compared.
    pub default: Option<Value>,
    /// The languages that have it, if not all.
    pub only: Option<Vec<String>>,
}

/// A type with fields.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Structure {
    /// What it is, in one line.
    pub doc: String,
    /// What else there is to say.
    pub more: Option<String>,
    /// Whether it is the plain result of a method: its numbers, flags and events.
    #[serde(default)]
    pub result: bool,
    /// Its fields, in the order in which they cross to another language.
    pub fields: Vec<Field>,
}

/// A field of a type.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What it means, in one line.
    pub doc: String,
    /// Whether it follows from another field, and does not cross to another language.
    #[serde(default)]
    pub derived: bool,
}

/// Words that stand for values.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// What they say, in one line.
    pub doc: String,
    /// The name of the enum in core.
    pub rust: String,
    /// The variant of the enum for a number, if a number is possible, too.
    pub or_number: Option<String>,
    /// The words.
    pub words: Vec<Word>,
}

/// One word.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// The word.
    pub name: String,
    /// What it means, in one line.
    pub doc: String,
}

/// The errors.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// What every error has.
    pub attributes: Vec<String>,
    /// The facts of each code.
    pub codes: BTreeMap<String, Vec<String>>,
}

impl Surface {
    /// Reads and checks a description.
    ///
    /// # Errors
    /// If it is malformed, or uses a name that it does not have.
    pub fn parse(text: &str) -> Result<Self> {
        let surface: Self = serde_json::from_str(text).context("surface.json")?;
        surface.check()?;
        Ok(surface)
    }

    /// Reads the project's own `surface.json`.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn of_the_project() -> Result<Self> {
        Self::parse(&std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/surface.json"))?)
    }

    /// The methods that a language has, by name.
    pub fn methods<'a>(&'a self, language: &'a str) -> impl Iterator<Item = (&'a str, &'a Method)> {
        let entries = self.store.iter().map(|(name, method)| (name.as_str(), method));
        entries.filter(move |(_, method)| is_for(method.only.as_deref(), language))
    }
}

impl Method {
    /// The options that a language has.
    pub fn options<'a>(&'a self, language: &'a str) -> impl Iterator<Item = &'a Parameter> {
        self.options.iter().filter(move |option| is_for(option.only.as_deref(), language))
    }
}

impl Parameter {
    /// Whether it is a number that is not compared unless it is given.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        self.default.as_ref().is_some_and(|default| self.kind.is("number") && default == "unbounded")
    }

    /// Whether a face passes a value even if its caller gives none.
    #[must_use]
    pub fn has_default(&self) -> bool {
        self.default.is_some() && !self.is_unbounded()
    }
}

fn is_for(only: Option<&[String]>, language: &str) -> bool {
    only.is_none_or(|languages| languages.iter().any(|only| only == language))
}
