//! What a storm did and saw, as data: written by its processes, judged by the checker.

use serde::{Deserialize, Serialize};
use streamkeep::{ExpectedVersion, RecordedEvent};
use uuid::Uuid;

/// An event as somebody saw it in the log.
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

/// What an append demanded, in a form that travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Demand {
    Any,
    NoStream,
    Exists,
    Exact(u64),
}

impl Demand {
    /// Whether the demand holds at a version: said here once more, so that core's own function is checked too.
    pub fn holds(self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => version == 0,
            Self::Exists => version > 0,
            Self::Exact(exact) => version == exact,
        }
    }
}

impl From<Demand> for ExpectedVersion {
    fn from(demand: Demand) -> Self {
        match demand {
            Demand::Any => Self::Any,
            Demand::NoStream => Self::NoStream,
            Demand::Exists => Self::StreamExists,
            Demand::Exact(version) => Self::Exact(version),
        }
    }
}

/// What an append was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// In the log, its last event there. A caller's own transaction hears no position.
    Done { version: u64, position: Option<u64> },
    /// Not in the log, and never will be; in a conflict, the version the decision saw.
    Refused { actual: Option<u64> },
    /// Whole or absent.
    Unknown,
}

/// One append, and what it was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    pub stream: String,
    pub demand: Demand,
    pub ids: Vec<Uuid>,
    pub answer: Answer,
}

/// All that one subscriber was given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sighting {
    pub name: String,
    /// Its start lies at or after the first of these positions and at or before the second.
    pub start: (u64, u64),
    pub rows: Vec<Row>,
}

/// The whole of it, or the part of one process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    pub attempts: Vec<Attempt>,
    pub sightings: Vec<Sighting>,
    /// What one watcher was told by `head()`, in order.
    pub heads: Vec<Vec<u64>>,
    /// What was seen to be wrong on the way.
    pub wrong: Vec<String>,
}

impl History {
    pub fn add(&mut self, part: Self) {
        self.attempts.extend(part.attempts);
        self.sightings.extend(part.sightings);
        self.heads.extend(part.heads);
        self.wrong.extend(part.wrong);
    }
}
