//! The failures of a connection or server: how the backend reacts to each, and which error the caller gets.

use sqlx::postgres::{PgDatabaseError, PgSeverity};
use thiserror::Error;

use super::names::{ID_KEY, POSITION_KEY, VERSION_KEY};
use crate::error::{Error, Outcome};

/// The refusal of a transaction pooler that the URL does not name.
pub(super) const NAME_IT: &str = "the server is behind a transaction pooler: add pooler=transaction to the URL, or \
                                  connect to the server itself";

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
    /// The server answered with an error and rolled back what was sent.
    #[error("the server refused: {message} ({code})")]
    Refused { code: String, constraint: Option<String>, contended: Option<Contended>, message: String },
    /// The server refused for a reason that lasts: it is set read-only, its disk is full, or a file is missing.
    #[error("the server refused: {message} ({code})")]
    Stopped { code: String, message: String },
    /// The server or its settings cannot be used.
    #[error("{0}")]
    Setup(String),
    /// An answer could not be read.
    #[error("an answer of the server could not be read: {0}")]
    Unreadable(String),
    /// The pool was closed.
    #[error("the store is closed")]
    Closed,
    /// A bug in this library.
    #[error("{0}")]
    Bug(String),
}

/// What two writers raced for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Contended {
    /// The next version of this stream.
    Stream(String),
    /// This event id.
    Id(String),
}

/// How an append reacts to a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Another append was first, or the ids are known. Decide again.
    Race,
    /// Another transaction holds a lock that the append needs.
    HeldUp,
    /// Try again after a pause.
    Again,
    /// The outcome is unknown: the attempt may have committed.
    Unknown,
    /// Nothing was sent. Try again later.
    Unreached,
    /// A retry cannot help.
    Final,
}

impl Failure {
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Late | Self::Lost(_) | Self::Unreadable(_) => Class::Unknown,
            Self::Unreached(_) => Class::Unreached,
            Self::Stopped { .. } | Self::Setup(_) | Self::Closed | Self::Bug(_) => Class::Final,
            Self::Refused { code, constraint, .. } => match (code.as_str(), constraint.as_deref()) {
                ("23505", Some(VERSION_KEY | ID_KEY)) => Class::Race,
                ("55P03", _) => Class::HeldUp,
                // A serialization failure, a deadlock, a plan for an older table, a cancelled query, and a server that
                // became a standby.
                ("40001" | "40P01" | "0A000" | "57014" | "25006", _) => Class::Again,
                _ => Class::Final,
            },
        }
    }

    /// What the append raced for, if the server tells.
    pub(super) fn contended(&self) -> Option<Contended> {
        match self {
            Self::Refused { contended, .. } => contended.clone(),
            _ => None,
        }
    }

    /// Whether the connection must be closed after this failure.
    pub(super) fn closes_connection(&self) -> bool {
        match self {
            Self::Refused { code, .. } => matches!(code.as_str(), "0A000" | "25006" | "25P02"),
            Self::Stopped { .. } => false,
            _ => true,
        }
    }

    /// Converts a failure from before anything was sent, for example while connecting.
    pub(super) fn before_sending(self) -> Self {
        match self {
            Self::Lost(message) | Self::Unreadable(message) => Self::Unreached(message),
            Self::Late => Self::Unreached("the deadline passed".to_owned()),
            Self::Refused { code, message, .. } if code == "08P01" && message.contains("startup parameter") => {
                Self::Setup(format!("{message} ({code}); {NAME_IT}"))
            }
            // The server has no free slot, or is starting or stopping.
            Self::Refused { code, message, .. } if matches!(code.get(..2), Some("53" | "57" | "08" | "XX")) => {
                Self::Unreached(format!("{message} ({code})"))
            }
            Self::Refused { code, message, .. } => {
                Self::Setup(format!("the server refused the connection: {message} ({code})"))
            }
            other => other,
        }
    }

    /// The failure of a connection attempt. A fatal error of the server is a refusal there, not a lost connection.
    pub(super) fn at_connect(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => match database.try_downcast::<PgDatabaseError>() {
                Ok(refusal) => refused(&refusal, false),
                Err(other) => Self::Lost(other.to_string()),
            },
            other => Self::from(other),
        }
    }

    /// Whether the server takes no writes at present.
    pub(super) fn is_read_only(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "25006")
    }

    /// Converts a refusal whose reason is known to last.
    pub(super) fn lasting(self) -> Self {
        match self {
            Self::Refused { code, message, .. } => Self::Stopped { code, message },
            other => other,
        }
    }

    /// Changes the text of the failure.
    pub(super) fn map_text(self, change: impl Fn(String) -> String) -> Self {
        match self {
            Self::Lost(text) => Self::Lost(change(text)),
            Self::Unreached(text) => Self::Unreached(change(text)),
            Self::Setup(text) => Self::Setup(change(text)),
            Self::Unreadable(text) => Self::Unreadable(change(text)),
            Self::Refused { code, constraint, contended, message } => {
                Self::Refused { code, constraint, contended, message: change(message) }
            }
            Self::Stopped { code, message } => Self::Stopped { code, message: change(message) },
            other => other,
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => match database.try_downcast::<PgDatabaseError>() {
                Ok(refusal) => refused(&refusal, true),
                Err(other) => Self::Lost(other.to_string()),
            },
            sqlx::Error::Configuration(_) => Self::Setup("the connection's settings are wrong".to_owned()),
            sqlx::Error::Tls(cause) => Self::Setup(format!("TLS: {}", without_host(&cause.to_string()))),
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::RowNotFound => Self::Unreadable(error.to_string()),
            sqlx::Error::Encode(cause) => Self::Bug(format!("a parameter could not be written: {cause}")),
            other => Self::Lost(without_host(&other.to_string())),
        }
    }
}

/// The TLS library's message without the URL's host, which the library names when a certificate is for another host.
fn without_host(text: &str) -> String {
    let before = text.split_once("certificate not valid for name").map(|(before, _)| before);
    before.map_or_else(|| text.to_owned(), |before| format!("{before}the certificate is for another host"))
}

/// Converts an error of the server. Its message names no stored values; its detail may, so the detail is left out.
fn refused(refusal: &PgDatabaseError, connected: bool) -> Failure {
    let (code, message) = (refusal.code().to_owned(), refusal.message().to_owned());
    let ends_session = matches!(refusal.severity(), PgSeverity::Fatal | PgSeverity::Panic);
    // A refused login: the session never began, so nothing was sent.
    let refused_login = matches!(code.get(..2), Some("28" | "3D"));
    if connected && ends_session && !refused_login {
        return Failure::Lost(format!("{message} ({code})"));
    }
    // The disk is full, or a file is damaged or missing.
    if code == "53100" || code.starts_with("58") {
        return Failure::Stopped { code, message };
    }
    let contended = refusal.detail().and_then(|detail| contended(refusal.constraint()?, detail));
    Failure::Refused { code, constraint: refusal.constraint().map(str::to_owned), contended, message }
}

/// Reads what an append raced for from the detail of a unique violation, `Key (stream, version)=(order-1, 7) already
/// exists.` The server may write it in any language or leave it out, and a stream's name may hold any character.
fn contended(constraint: &str, detail: &str) -> Option<Contended> {
    let key = detail.split_once(")=(")?.1.rsplit_once(')')?.0;
    match constraint {
        VERSION_KEY => Some(Contended::Stream(key.rsplit_once(", ")?.0.to_owned())),
        ID_KEY => Some(Contended::Id(key.to_owned())),
        _ => None,
    }
}

/// The error of an operation that wrote nothing. For a write that may have been done, use [`unknown`].
impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        let error = match &failure {
            Failure::Late | Failure::Lost(_) | Failure::Unreached(_) => Self::unavailable(message),
            Failure::Stopped { .. } => Self::unavailable(message).at_once(),
            Failure::Setup(_) => Self::config(message),
            Failure::Unreadable(_) => return Self::corrupt("an answer of the database", message),
            Failure::Closed => return Self::closed(),
            // The bug shows only after the write, which may be committed.
            Failure::Bug(_) => return Self::internal(message).with_outcome(Outcome::Unknown),
            Failure::Refused { code, constraint, .. } => match (code.as_str(), constraint.as_deref()) {
                ("23505", Some(POSITION_KEY)) => Self::config(
                    "the sequence of positions is below the log's head: open the store again, which says how to repair it",
                ),
                ("3F000" | "42P01" | "42703" | "42883" | "42501" | "28000" | "28P01" | "3D000", _) => {
                    Self::config(message)
                }
                ("55P03", _) => {
                    Self::unavailable(format!("{message}: another transaction holds a lock on this stream"))
                }
                ("40001" | "40P01" | "0A000" | "57014" | "25006" | "25P04", _) => Self::unavailable(message),
                (code, _) if matches!(code.get(..2), Some("53" | "57" | "58" | "08")) => Self::unavailable(message),
                (code, _) if code.starts_with("22") => Self::invalid_argument("events", message),
                _ => Self::internal(message),
            },
        };
        error.with_cause(failure)
    }
}

/// The error of a write that may have been done.
pub(super) fn unknown(failure: Failure) -> Error {
    Error::from(failure).with_outcome(Outcome::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_class_and_its_code_by_state_and_constraint() {
        let table = [
            ("23505", Some(VERSION_KEY), Class::Race, "internal"),
            ("23505", Some(ID_KEY), Class::Race, "internal"),
            ("23505", Some(POSITION_KEY), Class::Final, "config"),
            ("23505", Some("somebody_elses"), Class::Final, "internal"),
            ("55P03", None, Class::HeldUp, "unavailable"),
            ("40001", None, Class::Again, "unavailable"),
            ("40P01", None, Class::Again, "unavailable"),
            ("0A000", None, Class::Again, "unavailable"),
            ("57014", None, Class::Again, "unavailable"),
            ("25006", None, Class::Again, "unavailable"),
            ("53300", None, Class::Final, "unavailable"),
            ("57P03", None, Class::Final, "unavailable"),
            ("22P02", None, Class::Final, "invalid-argument"),
            ("22001", None, Class::Final, "invalid-argument"),
            ("42501", None, Class::Final, "config"),
            ("42P01", None, Class::Final, "config"),
            ("3F000", None, Class::Final, "config"),
            ("28P01", None, Class::Final, "config"),
            ("3D000", None, Class::Final, "config"),
            ("23001", None, Class::Final, "internal"),
            ("XX000", None, Class::Final, "internal"),
        ];
        for (code, constraint, class, answered) in table {
            let failure = Failure::Refused {
                code: code.to_owned(),
                constraint: constraint.map(str::to_owned),
                contended: None,
                message: "no".to_owned(),
            };
            assert_eq!(failure.class(), class, "{code} {constraint:?}");
            let error = Error::from(failure);
            assert_eq!((error.code(), error.outcome()), (answered, Outcome::NotApplied), "{code} {constraint:?}");
        }
    }

    #[test]
    fn a_unique_violation_tells_what_was_contended_for_any_stream_name() {
        let detail = |key: &str| format!("Key (stream, version)=({key}) already exists.");
        let stream = |name: &str| Some(Contended::Stream(name.to_owned()));
        assert_eq!(contended(VERSION_KEY, &detail("order-1, 7")), stream("order-1"));
        assert_eq!(contended(VERSION_KEY, &detail("a, b)=(c), 12")), stream("a, b)=(c)"));
        assert_eq!(contended(ID_KEY, "Schlüssel »(id)=(7f)« existiert bereits."), Some(Contended::Id("7f".to_owned())));
        assert_eq!(contended(VERSION_KEY, "nothing"), None);
        assert_eq!(contended(POSITION_KEY, "Key (position)=(7) already exists."), None);
    }

    #[test]
    fn an_unknown_outcome_is_told_from_nothing_sent() {
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
            assert_eq!((failure.class(), failure.closes_connection()), (class, true), "{failure}");
            assert_eq!(Error::from(failure).code(), code);
        }
        assert_eq!(unknown(Failure::Late).outcome(), Outcome::Unknown);
        assert_eq!(Failure::Lost("reset".to_owned()).before_sending().class(), Class::Unreached);
    }

    #[test]
    fn a_certificate_for_another_host_is_reported_without_the_hosts_name() {
        let text = "invalid peer certificate: certificate not valid for name \"geheim\"; certificate is only valid for DnsName(\"db.example\")";
        let told = |error: sqlx::Error| Failure::from(error).to_string();
        for failure in [
            told(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, text))),
            told(sqlx::Error::Tls(text.into())),
        ] {
            assert!(!failure.contains("geheim") && failure.contains("certificate is for another host"), "{failure}");
        }
    }

    #[test]
    fn a_refusal_that_lasts_is_answered_at_once() {
        let refused =
            Failure::Refused { code: "25006".to_owned(), constraint: None, contended: None, message: "no".to_owned() };
        assert!(refused.is_read_only() && refused.closes_connection() && refused.class() == Class::Again);
        let stopped = refused.lasting();
        assert!(!stopped.is_read_only() && !stopped.closes_connection() && stopped.class() == Class::Final);
        let error = Error::from(stopped.map_text(|text| text.to_uppercase()));
        assert_eq!((error.code(), error.outcome(), error.worth_a_retry()), ("unavailable", Outcome::NotApplied, false));
        assert!(error.to_string().contains("NO (25006)"), "{error}");
    }

    #[test]
    fn a_server_that_is_full_or_starting_is_tried_again_and_a_refused_login_is_not() {
        let refused = |code: &str| {
            Failure::Refused { code: code.to_owned(), constraint: None, contended: None, message: "no".to_owned() }
                .before_sending()
                .class()
        };
        for later in ["53300", "57P03", "08006", "XX000"] {
            assert_eq!(refused(later), Class::Unreached, "{later}");
        }
        for never in ["28P01", "28000", "3D000", "42501"] {
            assert_eq!(refused(never), Class::Final, "{never}");
        }
    }
}
