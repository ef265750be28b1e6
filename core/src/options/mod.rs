//! The options of the operations: plain structs with defaults.

mod open;

use std::ops::{Range, RangeFrom, RangeInclusive, RangeToInclusive};
use std::time::Duration;

use crate::position::Direction;
use crate::query::Query;
use crate::version::ExpectedVersion;

pub(crate) use self::open::unknown_parameter;
pub use self::open::{Durability, OpenOptions, Pooler};

/// How to append. An [`ExpectedVersion`] or a version number converts into options with only that.
#[derive(Clone, Debug, Default)]
pub struct AppendOptions {
    /// The expected version of the stream. The default is `any`.
    pub expected: ExpectedVersion,
    /// How long it may take, waiting included. The default is the timeout of the store.
    pub timeout: Option<Duration>,
}

impl From<ExpectedVersion> for AppendOptions {
    fn from(expected: ExpectedVersion) -> Self {
        Self { expected, timeout: None }
    }
}

impl From<u64> for AppendOptions {
    fn from(version: u64) -> Self {
        ExpectedVersion::from(version).into()
    }
}

/// Which part of a stream to read. Ranges of versions convert into it: `3..`, `..=10`, `3..=10`.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The lowest version, inclusive. The default is 1.
    pub from_version: u64,
    /// The highest version, inclusive. By default there is no bound.
    pub to_version: u64,
    /// The direction. The bounds are the lowest and the highest version in both directions.
    pub direction: Direction,
    /// The most events. By default there is no limit; 0 is refused.
    pub limit: Option<u64>,
    /// How long each page may take. The default is the timeout of the store.
    pub timeout: Option<Duration>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { from_version: 1, to_version: u64::MAX, direction: Direction::Forward, limit: None, timeout: None }
    }
}

impl From<RangeInclusive<u64>> for ReadOptions {
    fn from(versions: RangeInclusive<u64>) -> Self {
        Self { from_version: *versions.start(), to_version: *versions.end(), ..Self::default() }
    }
}

impl From<RangeFrom<u64>> for ReadOptions {
    fn from(versions: RangeFrom<u64>) -> Self {
        Self { from_version: versions.start, ..Self::default() }
    }
}

impl From<RangeToInclusive<u64>> for ReadOptions {
    fn from(versions: RangeToInclusive<u64>) -> Self {
        Self { to_version: versions.end, ..Self::default() }
    }
}

impl From<Range<u64>> for ReadOptions {
    fn from(versions: Range<u64>) -> Self {
        Self { from_version: versions.start, to_version: versions.end.saturating_sub(1), ..Self::default() }
    }
}

/// Which part of the log to read.
#[derive(Clone, Debug, Default)]
pub struct ReadAllOptions {
    /// Only positions above this. The default is 0.
    pub after: u64,
    /// Only positions below this. By default there is no bound.
    pub before: Option<u64>,
    /// Only events that match. The default matches everything.
    pub query: Query,
    /// The direction. `after` is the lower bound and `before` the upper one in both directions.
    pub direction: Direction,
    /// The most events that match. By default there is no limit; 0 is refused.
    pub limit: Option<u64>,
    /// How long each page may take. The default is the timeout of the store.
    pub timeout: Option<Duration>,
}

/// Which page of the log to read.
#[derive(Clone, Debug, Default)]
pub struct ReadPageOptions {
    /// Only positions above this. The default is 0.
    pub after: u64,
    /// Only events that match. The default matches everything.
    pub query: Query,
    /// The most events: at most 1,000, which is the default. 0 is refused.
    pub limit: Option<u64>,
    /// How long it may take. The default is the timeout of the store.
    pub timeout: Option<Duration>,
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first event of the log.
    Beginning,
    /// After the head of the log when the first event is pulled.
    Now,
}

/// What to subscribe to.
#[derive(Clone, Debug, Default)]
pub struct SubscribeOptions {
    /// Only events that match. The default matches everything.
    pub query: Query,
    /// Where to begin. The default is the beginning. Not together with `after`.
    pub start: Option<Start>,
    /// Only positions above this. Not together with `start`.
    pub after: Option<u64>,
}
