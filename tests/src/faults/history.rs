//! The history of a storm, as data: its processes write it, and the checker checks it.

use serde::{Deserialize, Serialize};
use streamkeep::{ExpectedVersion, RecordedEvent};
use uuid::Uuid;

/// An event as a reader saw it in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub position: u64,
    pub stream: String,
    pub version: u64,
    pub id: Uuid,
}

impl From<&RecordedEvent> for Row {
    fn from(event: &RecordedEvent) -> Self {
        Self { position: event.position, stream: event.stream.clone(), version: event.version, id: event.id }
    }
}

/// The expected version of an append, in a form that can be serialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expected {
    Any,
    NoStream,
    Exists,
    Exact(u64),
}

impl Expected {
    /// Whether it holds at a version. This is written independently of core, so that core's function is checked too.
    pub fn holds(self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => version == 0,
            Self::Exists => version > 0,
            Self::Exact(exact) => version == exact,
        }
    }
}

impl From<Expected> for ExpectedVersion {
    fn from(expected: Expected) -> Self {
        match expected {
            Expected::Any => Self::Any,
            Expected::NoStream => Self::NoStream,
            Expected::Exists => Self::StreamExists,
            Expected::Exact(version) => Self::Exact(version),
        }
    }
}

/// The answer to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is in the log, with its last event here. An append in the caller's own transaction gets no position.
    Done { version: u64, position: Option<u64> },
    /// It is not in the log and never will be. In a conflict, the version that the decision saw.
    Refused { actual: Option<u64> },
    /// It is in the log completely or not at all.
    Unknown,
}

/// One append and its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    pub stream: String,
    pub expected: Expected,
    pub ids: Vec<Uuid>,
    pub answer: Answer,
}

/// All events that one subscriber got.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Received {
    pub name: String,
    /// It started at or after the first of these positions, and at or before the second.
    pub start: (u64, u64),
    pub rows: Vec<Row>,
}

/// The history of a storm, or the part of one process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    pub attempts: Vec<Attempt>,
    pub received: Vec<Received>,
    /// The answers of `head()` to one watcher, in order.
    pub heads: Vec<Vec<u64>>,
    /// Errors that were noticed while the storm ran.
    pub wrong: Vec<String>,
}

impl History {
    pub fn add(&mut self, part: Self) {
        self.attempts.extend(part.attempts);
        self.received.extend(part.received);
        self.heads.extend(part.heads);
        self.wrong.extend(part.wrong);
    }
}
