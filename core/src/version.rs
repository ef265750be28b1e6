//! Expected versions, and the one function that decides whether they hold.

use std::fmt;

/// What an append expects of its stream.
///
/// ```
/// use streamkeep::ExpectedVersion;
/// assert!(ExpectedVersion::NoStream.holds(0));
/// assert!(!ExpectedVersion::Exact(3).holds(4));
/// assert_eq!(ExpectedVersion::from(7), ExpectedVersion::Exact(7));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ExpectedVersion {
    /// Nothing. The append never conflicts; if it loses a race, it runs again.
    #[default]
    Any,
    /// The stream has no events.
    NoStream,
    /// The stream has at least one event.
    StreamExists,
    /// The stream's version is exactly this. 0 means the same as [`ExpectedVersion::NoStream`].
    Exact(u64),
}

impl ExpectedVersion {
    /// Decides whether the expectation holds for a stream at version `actual` (0: no stream). All backends use this.
    #[must_use]
    pub const fn holds(self, actual: u64) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual == 0,
            Self::StreamExists => actual > 0,
            Self::Exact(version) => actual == version,
        }
    }

    /// Whether an expectation that fails at `actual` can still hold later, when the stream has grown.
    ///
    /// A refusal is only answered if nothing can change it any more (contract rule 5).
    #[must_use]
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "only Postgres can leave an attempt running"))]
    pub(crate) const fn may_hold_later(self, actual: u64) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => false,
            Self::StreamExists => actual == 0,
            Self::Exact(version) => actual < version,
        }
    }
}

impl From<u64> for ExpectedVersion {
    fn from(version: u64) -> Self {
        Self::Exact(version)
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::NoStream => f.write_str("no-stream"),
            Self::StreamExists => f.write_str("stream-exists"),
            Self::Exact(version) => write!(f, "{version}"),
        }
    }
}
