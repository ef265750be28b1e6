//! The failures of a connection or server: how the backend reacts to each, and which error the caller gets.

use mongodb::error::{
    Error as DriverError, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};
use thiserror::Error;

use super::words;
use crate::error::{Error, Outcome};
use crate::faults::planted;

/// Everything that can go wrong between the store and the server.
#[derive(Clone, Debug, Error)]
pub(super) enum Failure {
    /// The deadline passed. What was sent may still run.
    #[error("the deadline passed")]
    Late,
    /// The connection was lost or is no longer usable. What was sent may still run.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// No connection could be made, so nothing was sent.
    #[error("no connection: {0}")]
    Unreached(String),
    /// The server answered with an error. Its `labels` say what that means for a transaction.
    #[error("the server refused: {message} ({code})")]
    Refused { code: i32, message: String, labels: Labels },
    /// The server, its settings or its data cannot be used.
    #[error("{0}")]
    Setup(String),
    /// An answer could not be read.
    #[error("an answer of the server could not be read: {0}")]
    Unreadable(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A bug in this library.
    #[error("{0}")]
    Bug(String),
}

/// What the server says about a failure's effect on a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels {
    /// The transaction has ended, nothing of it was committed, and it may run again.
    pub(super) transient: bool,
    /// The transaction may be committed. The commit must be sent again.
    pub(super) unknown_commit: bool,
}

/// How the backend reacts to a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Try again after a pause.
    Again,
    /// The outcome is unknown: it may have been done.
    Unknown,
    /// Nothing was sent. Try again later.
    Unreached,
    /// A retry cannot help.
    Final,
}

/// Codes of temporary refusals: the server steps down, starts or stops, it ended an operation that took too long or was
/// killed, or another writer was first.
const PASSING: [i32; 24] = [
    6, 7, 50, 89, 91, 112, 117, 134, 189, 202, 216, 234, 246, 251, 262, 290, 365, 9_001, 10_107, 11_600, 11_601,
    11_602, 13_435, 13_436,
];

/// The user may not do this.
const UNAUTHORIZED: i32 = 13;
/// Codes of refusals that only an administrator can end: a full disk, no memory, blocked writes, an exceeded quota.
const LASTING: [i32; 4] = [14_031, 146, 371, ATLAS];
/// Atlas uses one code for all its refusals, a failed login included.
const ATLAS: i32 = 8_000;

/// Whether a refusal is temporary.
fn passes(code: i32) -> bool {
    !planted("mongodb-primaries-never-change") && PASSING.contains(&code)
}

impl Failure {
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Late | Self::Lost(_) | Self::Unreadable(_) => Class::Unknown,
            Self::Unreached(_) => Class::Unreached,
            Self::Refused { code, labels, .. } if labels.transient || passes(*code) => Class::Again,
            Self::Setup(_) | Self::Closed | Self::Bug(_) | Self::Refused { .. } => Class::Final,
        }
    }

    /// The labels of a refusal. The driver itself labels a connection that was lost during a commit.
    pub(super) const fn labels(&self) -> Labels {
        match self {
            Self::Refused { labels, .. } => *labels,
            _ => Labels { transient: false, unknown_commit: false },
        }
    }

    /// Whether another transaction changed the same document first.
    pub(super) const fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 112, .. })
    }

    /// Whether writing is not possible at present, for this user or for everybody. Reading may be.
    pub(super) fn forbids_writing(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == UNAUTHORIZED || LASTING.contains(code))
    }

    /// Whether a unique index refused a duplicate.
    pub(super) const fn is_duplicate(&self) -> bool {
        matches!(self, Self::Refused { code: 11_000, .. })
    }
}

impl From<DriverError> for Failure {
    /// The driver's messages about connections may repeat parts of the URL, so `words` replaces them.
    fn from(error: DriverError) -> Self {
        let labels = Labels {
            transient: error.contains_label(TRANSIENT_TRANSACTION_ERROR),
            unknown_commit: error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT),
        };
        let refused = |code: i32, message: &str| Self::Refused { code, message: message.to_owned(), labels };
        match error.kind.as_ref() {
            ErrorKind::Command(command)
                if command.code == 18 || (command.code == ATLAS && command.message.contains("auth")) =>
            {
                Self::Setup(format!("the server refused the login: {}", command.message))
            }
            ErrorKind::Command(command) => refused(command.code, &command.message),
            ErrorKind::Write(WriteFailure::WriteError(write)) => {
                refused(write.code, &told_of_write(write.code, &write.message))
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => refused(concern.code, &concern.message),
            ErrorKind::InsertMany(insert) => {
                let write = insert.write_errors.iter().flatten().next().map(|write| (write.code, &write.message));
                let concern = insert.write_concern_error.as_ref().map(|concern| (concern.code, &concern.message));
                let (code, message) = write.or(concern).map_or((0, ""), |(code, message)| (code, message.as_str()));
                refused(code, &told_of_write(code, message))
            }
            ErrorKind::Io(cause) => Self::Lost(words::of_io(cause)),
            ErrorKind::ConnectionPoolCleared { .. } => Self::Lost("another operation lost its connection".to_owned()),
            ErrorKind::ServerSelection { message, .. } => match words::wire_version(message) {
                // The driver refuses such a server, and a retry cannot help.
                Some(version) => Self::Setup(format!(
                    "MongoDB 4.4 is the oldest supported version; this server has wire version {version}"
                )),
                None => Self::Unreached(words::of_selection(message)),
            },
            ErrorKind::DnsResolve { .. } => Self::Unreached("the host's name could not be resolved".to_owned()),
            ErrorKind::Authentication { message, .. } => {
                Self::Setup(format!("the server refused the login: {message}"))
            }
            ErrorKind::InvalidTlsConfig { message, .. } => Self::Setup(format!("TLS: {message}")),
            ErrorKind::IncompatibleServer { message, .. } => Self::Setup(message.clone()),
            ErrorKind::SessionsNotSupported => Self::Setup("the server has no sessions".to_owned()),
            ErrorKind::InvalidResponse { message, .. } => Self::Unreadable(message.clone()),
            ErrorKind::Bson(_) => Self::Unreadable("a document".to_owned()),
            ErrorKind::Shutdown => Self::Closed,
            ErrorKind::Transaction { message, .. } => Self::Bug(format!("the driver was used wrongly: {message}")),
            // Other messages may repeat an argument, and the driver's arguments come from the URL.
            _ => Self::Bug("the driver was used wrongly".to_owned()),
        }
    }
}

/// The message of a failed write. Most of the server's own messages repeat the values of the write, so only those of
/// some codes are passed on.
pub(super) fn told_of_write(code: i32, message: &str) -> String {
    match code {
        11_000 => "a unique index already has this value".to_owned(),
        10_334 | 17_419 => "a document is too large".to_owned(),
        13 | 20 => message.to_owned(),
        _ if LASTING.contains(&code) || PASSING.contains(&code) => message.to_owned(),
        _ => "a write was refused".to_owned(),
    }
}

/// The error of an operation that wrote nothing. A caller that may have written sets the outcome itself.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        let error = match &failure {
            Failure::Late | Failure::Lost(_) | Failure::Unreached(_) => Self::unavailable(message),
            Failure::Setup(_) => Self::config(message),
            Failure::Unreadable(_) => return Self::corrupt("an answer of the database", message),
            Failure::Closed => return Self::closed(),
            // The bug may show only after the write, which may be committed.
            Failure::Bug(_) => return Self::internal(message).with_outcome(Outcome::Unknown),
            Failure::Refused { labels: Labels { transient: true, .. }, .. } => Self::unavailable(message),
            Failure::Refused { code, .. } if passes(*code) => Self::unavailable(message),
            Failure::Refused { code, .. } => match code {
                _ if LASTING.contains(code) => Self::unavailable(message).at_once(),
                // Unauthorized, no such database or collection, no such command, a write concern that cannot be met.
                13 | 20 | 26 | 59 | 73 | 79 | 100 | 115 | 303 => Self::config(message),
                2 | 10_334 | 17_419 => Self::invalid_argument("events", message),
                _ => Self::internal(message),
            },
        };
        error.with_cause(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i32, transient: bool) -> Failure {
        Failure::Refused { code, message: "no".to_owned(), labels: Labels { transient, unknown_commit: false } }
    }

    #[test]
    fn every_refusal_has_its_class_and_its_code() {
        let table = [
            // Another writer was first; the server steps down, starts, stops; it took too long.
            (112, Class::Again, "unavailable"),
            (251, Class::Again, "unavailable"),
            (189, Class::Again, "unavailable"),
            (91, Class::Again, "unavailable"),
            (10_107, Class::Again, "unavailable"),
            (11_600, Class::Again, "unavailable"),
            (13_435, Class::Again, "unavailable"),
            (50, Class::Again, "unavailable"),
            // The server's setup.
            (13, Class::Final, "config"),
            (26, Class::Final, "config"),
            (100, Class::Final, "config"),
            (365, Class::Again, "unavailable"),
            // A full disk, blocked writes, a quota.
            (14_031, Class::Final, "unavailable"),
            (371, Class::Final, "unavailable"),
            (8_000, Class::Final, "unavailable"),
            // A value.
            (10_334, Class::Final, "invalid-argument"),
            (2, Class::Final, "invalid-argument"),
            // An append that was decided by its ids cannot violate an index.
            (11_000, Class::Final, "internal"),
            (121, Class::Final, "internal"),
        ];
        for (code, class, answered) in table {
            assert_eq!(refused(code, false).class(), class, "{code}");
            let error = Error::from(refused(code, false));
            assert_eq!((error.code(), error.outcome()), (answered, Outcome::NotApplied), "{code}");
        }
    }

    #[test]
    fn a_failure_with_the_transient_label_is_tried_again_whatever_its_code() {
        for code in [112, 251, 11_000, 121] {
            assert_eq!(
                (refused(code, true).class(), Error::from(refused(code, true)).code()),
                (Class::Again, "unavailable"),
                "{code}"
            );
        }
    }

    #[test]
    fn an_unknown_outcome_differs_from_nothing_sent() {
        let table = [
            (Failure::Late, Class::Unknown, "unavailable"),
            (Failure::Lost("reset".to_owned()), Class::Unknown, "unavailable"),
            (Failure::Unreadable("?".to_owned()), Class::Unknown, "corrupt"),
            (Failure::Unreached("refused".to_owned()), Class::Unreached, "unavailable"),
            (Failure::Setup("TLS".to_owned()), Class::Final, "config"),
            (Failure::Closed, Class::Final, "closed"),
            (Failure::Bug("!".to_owned()), Class::Final, "internal"),
        ];
        for (failure, class, code) in table {
            assert_eq!(failure.class(), class, "{failure}");
            assert_eq!(Error::from(failure).code(), code);
        }
    }
}
