//! The options of every operation: plain structs with defaults.

use std::ops::{Range, RangeFrom, RangeInclusive, RangeToInclusive};
use std::time::Duration;

use crate::position::Direction;
use crate::query::Query;
use crate::version::ExpectedVersion;

/// How to append. An [`ExpectedVersion`] or a version's number stands for options that only say that.
#[derive(Clone, Debug, Default)]
pub struct AppendOptions {
    /// What the stream must be at; `any` by default.
    pub expected: ExpectedVersion,
    /// How long it may take in all, waiting included; the store's time-out unless given.
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

/// Which part of a stream to read. Ranges of versions stand for it: `3..`, `..=10`, `3..=10`.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The lowest version wanted, inclusive; 1 by default.
    pub from_version: u64,
    /// The highest version wanted, inclusive; no bound by default.
    pub to_version: u64,
    /// Which way; the bounds are lowest and highest in either.
    pub direction: Direction,
    /// The most events wanted; no limit by default, 0 is refused.
    pub limit: Option<u64>,
    /// How long each page may take; the store's time-out unless given.
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
    /// Only positions above this; 0 by default.
    pub after: u64,
    /// Only positions below this; no bound by default.
    pub before: Option<u64>,
    /// Only events that match; everything by default.
    pub query: Query,
    /// Which way; the bounds are lowest and highest in either.
    pub direction: Direction,
    /// The most events wanted, counting those that match; no limit by default, 0 is refused.
    pub limit: Option<u64>,
    /// How long each page may take; the store's time-out unless given.
    pub timeout: Option<Duration>,
}

/// Which page of the log to read.
#[derive(Clone, Debug, Default)]
pub struct ReadPageOptions {
    /// Only positions above this; 0 by default.
    pub after: u64,
    /// Only events that match; everything by default.
    pub query: Query,
    /// The most events wanted; 1,000 at most and by default, 0 is refused.
    pub limit: Option<u64>,
    /// How long it may take; the store's time-out unless given.
    pub timeout: Option<Duration>,
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the first event of the log.
    Beginning,
    /// Behind the head at the first pull.
    Now,
}

/// What to subscribe to.
#[derive(Clone, Debug, Default)]
pub struct SubscribeOptions {
    /// Only events that match; everything by default.
    pub query: Query,
    /// Where to begin; the beginning by default. Not together with `after`.
    pub start: Option<Start>,
    /// Only positions above this. Not together with `start`.
    pub after: Option<u64>,
}
