//! The one error type: a stable code, whether to retry, what is known of the outcome, and the facts.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::version::ExpectedVersion;

/// Marks the one error that never reaches a caller.
const HELD_UP: &str = "held up";

/// What every operation answers.
pub type Result<T> = std::result::Result<T, Error>;

/// What is known of a write that ended in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was written, and nothing will be.
    NotApplied,
    /// It may have been written; repeating it with the same event ids is safe and tells.
    Unknown,
}

impl Outcome {
    /// `not applied` or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotApplied => "not applied",
            Self::Unknown => "unknown",
        }
    }
}

/// What went wrong, with the facts a program needs to act on it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The stream was not at the expected version: reload and decide again.
    Conflict {
        /// The stream.
        stream: String,
        /// What the append demanded.
        expected: ExpectedVersion,
        /// The version the decision saw.
        actual: u64,
    },
    /// An id is known already, with other content or in another place: look at the ids.
    DuplicateEvent {
        /// The id.
        id: Uuid,
        /// Where it is recorded: the stream.
        stream: String,
        /// Where it is recorded: the version.
        version: u64,
    },
    /// What was asked for does not exist.
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// The call is wrong: fix it.
    InvalidArgument {
        /// Which argument.
        argument: String,
    },
    /// A value is larger than a limit: send less.
    LimitExceeded {
        /// Which limit.
        what: String,
        /// The limit.
        limit: u64,
        /// What was given.
        actual: u64,
    },
    /// URL, options or the server's set-up must be changed.
    Config,
    /// The database could not be reached, or not in time: retry, ids make that safe.
    Unavailable,
    /// A checkpoint or cursor lies above anything the log ever had: a restored backup.
    CheckpointAhead {
        /// The consumer, or nothing for a plain subscription.
        consumer: Option<String>,
        /// The checkpoint.
        checkpoint: u64,
        /// The log's head.
        head: u64,
    },
    /// Stored data cannot be believed: stop, repair, upgrade.
    Corrupt {
        /// Where it was seen.
        place: String,
    },
    /// The store was closed, or belongs to the parent of a forked process: open a new one.
    Closed,
    /// A bug in this library.
    Internal,
}

/// The error of every operation.
///
/// Programs act on [`Error::kind`] and [`Error::code`]; the message is for people. Credentials appear in no part of it.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    outcome: Outcome,
    ids: Vec<Uuid>,
    context: Option<String>,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), outcome: Outcome::NotApplied, ids: Vec::new(), context: None, cause: None }))
    }

    pub(crate) fn conflict(stream: &str, expected: ExpectedVersion, actual: u64) -> Self {
        let message = format!("stream '{stream}' is at version {actual}, expected {expected}");
        Self::new(ErrorKind::Conflict { stream: stream.to_owned(), expected, actual }, message)
    }

    pub(crate) fn duplicate_event(id: Uuid, stream: &str, version: u64) -> Self {
        let message = format!("event id {id} is known already, at version {version} of stream '{stream}', and this is not a repetition of that append");
        Self::new(ErrorKind::DuplicateEvent { id, stream: stream.to_owned(), version }, message)
    }

    pub(crate) fn invalid_argument(argument: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument { argument: argument.to_owned() }, message)
    }

    pub(crate) fn limit_exceeded(what: &str, limit: u64, actual: u64) -> Self {
        let message = format!("{what}: {actual} is more than the limit of {limit}");
        Self::new(ErrorKind::LimitExceeded { what: what.to_owned(), limit, actual }, message)
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// A backend's word to the group commit: this one alone met somebody's lock, send it again in a group of its own.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "only a database beyond a network leaves an attempt behind"))]
    pub(crate) fn held_up() -> Self {
        Self::unavailable("another transaction holds up this stream").with_context(HELD_UP)
    }

    /// Whether this is [`Error::held_up`].
    pub(crate) fn is_held_up(&self) -> bool {
        self.0.context.as_deref() == Some(HELD_UP)
    }

    pub(crate) fn checkpoint_ahead(checkpoint: u64, head: u64) -> Self {
        let message = format!("position {checkpoint} lies above anything this log ever had (its head is {head}): was a backup restored?");
        Self::new(ErrorKind::CheckpointAhead { consumer: None, checkpoint, head }, message)
    }

    pub(crate) fn corrupt(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt { place: place.into() }, message)
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the store is closed")
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    pub(crate) fn with_cause(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.0.cause = Some(Arc::new(cause));
        self
    }

    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    pub(crate) fn with_ids(mut self, ids: Vec<Uuid>) -> Self {
        self.0.ids = ids;
        self
    }

    pub(crate) fn with_context(mut self, context: impl Into<String>) -> Self {
        self.0.context = Some(context.into());
        self
    }

    /// What went wrong, with its facts.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The stable code: `conflict`, `duplicate-event`, `not-found`, `invalid-argument`, `limit-exceeded`, `config`,
    /// `unavailable`, `checkpoint-ahead`, `corrupt`, `closed` or `internal`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.0.kind {
            ErrorKind::Conflict { .. } => "conflict",
            ErrorKind::DuplicateEvent { .. } => "duplicate-event",
            ErrorKind::NotFound { .. } => "not-found",
            ErrorKind::InvalidArgument { .. } => "invalid-argument",
            ErrorKind::LimitExceeded { .. } => "limit-exceeded",
            ErrorKind::Config => "config",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::CheckpointAhead { .. } => "checkpoint-ahead",
            ErrorKind::Corrupt { .. } => "corrupt",
            ErrorKind::Closed => "closed",
            ErrorKind::Internal => "internal",
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unavailable)
    }

    /// What is known of the write this error answers.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The ids of the append this error answers, to look for them or to repeat it.
    #[must_use]
    pub fn ids(&self) -> &[Uuid] {
        &self.0.ids
    }

    /// What was being done, for people.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.0.context.as_deref()
    }

    /// What happened, for people, without context and cause.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The error as data, the same for every language: `code`, `message`, `retryable`, `outcome`, `ids`, `context`, `cause`
    /// and `fields` with the facts of its kind. Bindings make their own class from it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let ids: Vec<String> = self.0.ids.iter().map(Uuid::to_string).collect();
        json!({
            "code": self.code(),
            "message": self.0.message,
            "retryable": self.retryable(),
            "outcome": self.0.outcome.as_str(),
            "ids": ids,
            "context": self.0.context,
            "cause": self.0.cause.as_ref().map(ToString::to_string),
            "fields": self.fields(),
        })
        .to_string()
    }

    fn fields(&self) -> Map<String, Value> {
        let value = match &self.0.kind {
            ErrorKind::Conflict { stream, expected, actual } => {
                let expected = match expected {
                    ExpectedVersion::Exact(version) => json!(version),
                    other => json!(other.to_string()),
                };
                json!({"stream": stream, "expected": expected, "actual": actual})
            }
            ErrorKind::DuplicateEvent { id, stream, version } => json!({"id": id.to_string(), "stream": stream, "version": version}),
            ErrorKind::NotFound { what } => json!({"what": what}),
            ErrorKind::InvalidArgument { argument } => json!({"argument": argument}),
            ErrorKind::LimitExceeded { what, limit, actual } => json!({"what": what, "limit": limit, "actual": actual}),
            ErrorKind::CheckpointAhead { consumer, checkpoint, head } => json!({"consumer": consumer, "checkpoint": checkpoint, "head": head}),
            ErrorKind::Corrupt { place } => json!({"where": place}),
            ErrorKind::Config | ErrorKind::Unavailable | ErrorKind::Closed | ErrorKind::Internal => json!({}),
        };
        if let Value::Object(map) = value { map } else { Map::new() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.code())?;
        if let Some(context) = &self.0.context {
            write!(f, "{context}: ")?;
        }
        f.write_str(&self.0.message)?;
        if self.0.outcome == Outcome::Unknown {
            f.write_str(" (outcome: unknown)")?;
        }
        Ok(())
    }
}

/// How many ids are shown: an append may have 10,000.
const SHOWN_IDS: usize = 8;

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("outcome", &self.0.outcome)
            .field("ids", &self.0.ids.iter().take(SHOWN_IDS).collect::<Vec<_>>())
            .field("more_ids", &self.0.ids.len().saturating_sub(SHOWN_IDS))
            .field("context", &self.0.context)
            .field("cause", &self.0.cause.as_ref().map(ToString::to_string))
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_ref().map(|cause| cause.as_ref() as &(dyn StdError + 'static))
    }
}
