//! The type of an argument, option, field or answer.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A type: a name, whether there is a list of it, and whether it is absent sometimes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The name.
    pub name: String,
    /// Whether there is a list of it.
    pub list: bool,
    /// Whether it is absent sometimes.
    pub optional: bool,
}

impl Kind {
    /// Whether it is exactly the one of this name: no list, and never absent.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        !self.list && !self.optional && self.name == name
    }
}

impl From<&str> for Kind {
    fn from(text: &str) -> Self {
        let (text, optional) = text.strip_suffix('?').map_or((text, false), |rest| (rest, true));
        let (name, list) = text.strip_suffix("[]").map_or((text, false), |rest| (rest, true));
        Self { name: name.to_owned(), list, optional }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (list, optional) = (if self.list { "[]" } else { "" }, if self.optional { "?" } else { "" });
        write!(f, "{}{list}{optional}", self.name)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(String::deserialize(deserializer)?.as_str().into())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
