//! The one error type: a stable code, whether to retry, the outcome of an append, and the facts.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::version::ExpectedVersion;

/// The hint that marks [`Error::held_up`], which no caller sees.
const HELD_UP: &str = "held up";

/// The message of an error that has no other cause.
pub(crate) const DEADLINE_PASSED: &str = "the deadline passed";

/// The result of every operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What is known about a write that ended in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was written, and nothing will be written.
    NotApplied,
    /// It may have been written. Repeating it with the same events is safe, and the answer says what happened.
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

/// What went wrong, with the facts that a program needs to react.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The stream is not at the expected version. Reload and decide again.
    Conflict {
        /// The stream.
        stream: String,
        /// The expected version of the append.
        expected: ExpectedVersion,
        /// The version that the decision was based on.
        actual: u64,
    },
    /// An event id is already known, with other content or at another place. Check how ids are made.
    DuplicateEvent {
        /// The id.
        id: Uuid,
        /// The stream in which it is recorded.
        stream: String,
        /// Its version there.
        version: u64,
    },
    /// Something does not exist.
    NotFound {
        /// What does not exist.
        what: String,
    },
    /// The call is wrong. Fix it.
    InvalidArgument {
        /// Which argument.
        argument: String,
    },
    /// A value exceeds a limit. Send less.
    LimitExceeded {
        /// Which limit.
        what: String,
        /// The limit.
        limit: u64,
        /// The size of the value.
        actual: u64,
    },
    /// The URL, the options or the configuration of the server has to change.
    Config,
    /// The database did not answer before the deadline. Retry: the event ids make that safe.
    Unavailable,
    /// A checkpoint or cursor is above every position that the log has drawn, for example after a backup was restored.
    CheckpointAhead {
        /// The consumer; none for a subscription or read.
        consumer: Option<String>,
        /// The checkpoint.
        checkpoint: u64,
        /// The log's head.
        head: u64,
    },
    /// Stored data is not valid. Stop, then repair it or upgrade the library.
    Corrupt {
        /// Where it was found.
        place: String,
    },
    /// The store was closed, or it belongs to the parent of this forked process. Open a new one.
    Closed,
    /// A bug in this library.
    Internal,
}

/// The error of every operation.
///
/// Programs use [`Error::kind`] and [`Error::code`]. The message is for people. No part of an error has credentials.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    outcome: Outcome,
    ids: Vec<Uuid>,
    operation: Option<&'static str>,
    hint: Option<String>,
    /// Set if another attempt before the deadline cannot help.
    answer_at_once: bool,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            outcome: Outcome::NotApplied,
            ids: Vec::new(),
            operation: None,
            hint: None,
            answer_at_once: false,
            cause: None,
        }))
    }

    pub(crate) fn conflict(stream: &str, expected: ExpectedVersion, actual: u64) -> Self {
        let message = format!("stream '{stream}' is at version {actual}, expected {expected}");
        Self::new(ErrorKind::Conflict { stream: stream.to_owned(), expected, actual }, message)
    }

    pub(crate) fn duplicate_event(id: Uuid, stream: &str, version: u64) -> Self {
        let message = format!(
            "event id {id} is already known, at version {version} of stream '{stream}', and this append is not a repetition of that one"
        );
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

    /// Tells the append queue that this append waits for a lock of another transaction. The queue sends it again
    /// outside its lanes.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "only Postgres answers it"))]
    pub(crate) fn held_up() -> Self {
        Self::unavailable("another transaction holds a lock on this stream").with_hint(HELD_UP)
    }

    /// Whether this is [`Error::held_up`].
    pub(crate) fn is_held_up(&self) -> bool {
        self.0.hint.as_deref() == Some(HELD_UP)
    }

    pub(crate) fn checkpoint_ahead(checkpoint: u64, head: u64) -> Self {
        let message = format!(
            "position {checkpoint} is above every position of this log (its head is {head}); was a backup restored?"
        );
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

    /// The deadline passed. The error carries the last failure before that, in the server's words.
    pub(crate) fn late(last_failure: Option<Self>) -> Self {
        match last_failure.filter(|failure| !failure.is_late()) {
            Some(failure) => {
                let message = format!("{DEADLINE_PASSED}; the last attempt failed: {}", failure.message());
                Self::unavailable(message).with_cause(failure)
            }
            None => Self::unavailable(DEADLINE_PASSED),
        }
    }

    /// Whether the error says only that the deadline passed.
    pub(crate) fn is_late(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unavailable) && self.0.message == DEADLINE_PASSED
    }

    /// Marks an error that another attempt before the deadline cannot help. It is answered at once.
    #[allow(dead_code, reason = "not every backend uses it")]
    pub(crate) fn at_once(mut self) -> Self {
        self.0.answer_at_once = true;
        self
    }

    /// Whether another attempt before the deadline may succeed.
    pub(crate) fn worth_a_retry(&self) -> bool {
        self.retryable() && !self.0.answer_at_once
    }

    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    pub(crate) fn with_ids(mut self, ids: Vec<Uuid>) -> Self {
        self.0.ids = ids;
        self
    }

    /// Names the public method that failed. Set once, at the handle.
    pub(crate) fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation = Some(operation);
        self
    }

    /// Says what the reader of the message can do.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
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

    /// What is known about the write that ended in this error.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The event ids of the append that ended in this error.
    #[must_use]
    pub fn ids(&self) -> &[Uuid] {
        &self.0.ids
    }

    /// The public method that failed, for example `append`.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// What the reader of the message can do about it, for example "open a store in the child process".
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What happened, for people, without the operation, the hint and the cause.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The error as data, the same for every language: `code`, `message`, `retryable`, `outcome`, `ids`, `operation`,
    /// `hint`, `cause`, and `fields` with the facts of its kind. A binding makes its own class from it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let ids: Vec<String> = self.0.ids.iter().map(Uuid::to_string).collect();
        json!({
            "code": self.code(),
            "message": self.0.message,
            "retryable": self.retryable(),
            "outcome": self.0.outcome.as_str(),
            "ids": ids,
            "operation": self.0.operation,
            "hint": self.0.hint,
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
            ErrorKind::DuplicateEvent { id, stream, version } => {
                json!({"id": id.to_string(), "stream": stream, "version": version})
            }
            ErrorKind::NotFound { what } => json!({"what": what}),
            ErrorKind::InvalidArgument { argument } => json!({"argument": argument}),
            ErrorKind::LimitExceeded { what, limit, actual } => json!({"what": what, "limit": limit, "actual": actual}),
            ErrorKind::CheckpointAhead { consumer, checkpoint, head } => {
                json!({"consumer": consumer, "checkpoint": checkpoint, "head": head})
            }
            ErrorKind::Corrupt { place } => json!({"where": place}),
            ErrorKind::Config | ErrorKind::Unavailable | ErrorKind::Closed | ErrorKind::Internal => json!({}),
        };
        if let Value::Object(map) = value { map } else { Map::new() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.code())?;
        if let Some(operation) = self.0.operation {
            write!(f, "{operation}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(hint) = &self.0.hint {
            write!(f, "; {hint}")?;
        }
        if self.0.outcome == Outcome::Unknown {
            f.write_str(" (outcome: unknown)")?;
        }
        Ok(())
    }
}

/// How many ids the debug text shows. An append can have 10,000.
const SHOWN_IDS: usize = 8;

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("outcome", &self.0.outcome)
            .field("ids", &self.0.ids.iter().take(SHOWN_IDS).collect::<Vec<_>>())
            .field("more_ids", &self.0.ids.len().saturating_sub(SHOWN_IDS))
            .field("operation", &self.0.operation)
            .field("hint", &self.0.hint)
            .field("cause", &self.0.cause.as_ref().map(ToString::to_string))
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_ref().map(|cause| cause.as_ref() as &(dyn StdError + 'static))
    }
}
