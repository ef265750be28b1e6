//! What goes wrong with the server, and what it means to a caller.

use sqlx::postgres::{PgDatabaseError, PgSeverity};
use thiserror::Error;

use super::names::{ID_KEY, POSITION_KEY, VERSION_KEY};
use crate::error::{Error, Outcome};

/// What to do about a transaction pooler.
pub(super) const NAME_IT: &str = "the server is behind a transaction pooler: add pooler=transaction to the URL, or \
                                  connect to the server itself";

/// Everything that can go wrong between here and the server.
#[derive(Clone, Debug, Error)]
pub(super) enum Failure {
    /// The deadline passed. What was sent may still run.
    #[error("the deadline passed")]
    Late,
    /// The connection is gone, or cannot be trusted any more. What was sent may still run.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// There is no connection: nothing was sent.
    #[error("no connection: {0}")]
    Unreached(String),
    /// The server answered with an error, and what was sent is undone.
    #[error("the server refused: {message} ({code})")]
    Refused { code: String, constraint: Option<String>, contended: Option<Contended>, message: String },
    /// The server refuses for a reason that lasts: it is set read-only, its disk is full, a file is missing.
    #[error("the server refused: {message} ({code})")]
    Stopped { code: String, message: String },
    /// The server, or what is set up in it, is not one to work with.
    #[error("{0}")]
    Setup(String),
    /// An answer could not be read.
    #[error("an answer of the server could not be read: {0}")]
    Unreadable(String),
    /// The pool was closed.
    #[error("the store is closed")]
    Closed,
    /// A bug here.
    #[error("{0}")]
    Bug(String),
}

/// What two writers wanted at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Contended {
    /// The next version of this stream.
    Stream(String),
    /// This event id.
    Id(String),
}

/// What a failure asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Another append was first, or the ids are known: decide again.
    Race,
    /// Somebody's transaction holds a lock.
    HeldUp,
    /// Run it again, after a pause.
    Again,
    /// It may have been done all the same.
    Unknown,
    /// Nothing was sent; perhaps later.
    Unreached,
    /// It cannot be done.
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
                // Serialization, deadlock, a plan made for an older table, a query cancelled by hand, a server that
                // became a standby.
                ("40001" | "40P01" | "0A000" | "57014" | "25006", _) => Class::Again,
                _ => Class::Final,
            },
        }
    }

    /// What a lost race was about, if the server tells.
    pub(super) fn contended(&self) -> Option<Contended> {
        match self {
            Self::Refused { contended, .. } => contended.clone(),
            _ => None,
        }
    }

    /// Whether the connection has to be closed after it.
    pub(super) fn spoils(&self) -> bool {
        match self {
            Self::Refused { code, .. } => matches!(code.as_str(), "0A000" | "25006" | "25P02"),
            Self::Stopped { .. } => false,
            _ => true,
        }
    }

    /// The same failure, on the way to a connection: whatever it is, nothing was sent.
    pub(super) fn before_sending(self) -> Self {
        match self {
            Self::Lost(message) | Self::Unreadable(message) => Self::Unreached(message),
            Self::Late => Self::Unreached("the deadline passed".to_owned()),
            Self::Refused { code, message, .. } if code == "08P01" && message.contains("startup parameter") => {
                Self::Setup(format!("{message} ({code}); {NAME_IT}"))
            }
            // The server is full, starting or stopping.
            Self::Refused { code, message, .. } if matches!(code.get(..2), Some("53" | "57" | "08" | "XX")) => {
                Self::Unreached(format!("{message} ({code})"))
            }
            Self::Refused { code, message, .. } => {
                Self::Setup(format!("the server refuses the connection: {message} ({code})"))
            }
            other => other,
        }
    }

    /// The failure of a connection that is being made: what ends the session there was refused, not lost.
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

    /// The same refusal, of which it is known that waiting does not help.
    pub(super) fn stays(self) -> Self {
        match self {
            Self::Refused { code, message, .. } => Self::Stopped { code, message },
            other => other,
        }
    }

    /// The same failure with other words.
    pub(super) fn map_words(self, change: impl Fn(String) -> String) -> Self {
        match self {
            Self::Lost(words) => Self::Lost(change(words)),
            Self::Unreached(words) => Self::Unreached(change(words)),
            Self::Setup(words) => Self::Setup(change(words)),
            Self::Unreadable(words) => Self::Unreadable(change(words)),
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

/// What the TLS library says, without the host of the URL, which it names when a certificate is for another one.
fn without_host(words: &str) -> String {
    let before = words.split_once("certificate not valid for name").map(|(before, _)| before);
    before.map_or_else(|| words.to_owned(), |before| format!("{before}the certificate is for another host"))
}

/// The message names no values; the detail, which may, is left out.
fn refused(refusal: &PgDatabaseError, connected: bool) -> Failure {
    let (code, message) = (refusal.code().to_owned(), refusal.message().to_owned());
    let ends_session = matches!(refusal.severity(), PgSeverity::Fatal | PgSeverity::Panic);
    // Refused at the door: the session never began, so nothing was sent.
    let at_the_door = matches!(code.get(..2), Some("28" | "3D"));
    if connected && ends_session && !at_the_door {
        return Failure::Lost(format!("{message} ({code})"));
    }
    // The disk is full, or a file is damaged or missing.
    if code == "53100" || code.starts_with("58") {
        return Failure::Stopped { code, message };
    }
    let contended = refusal.detail().and_then(|detail| contended(refusal.constraint()?, detail));
    Failure::Refused { code, constraint: refusal.constraint().map(str::to_owned), contended, message }
}

/// Reads what a race was about from the detail of a unique violation, `Key (stream, version)=(order-1, 7) already
/// exists.`, in whatever language the server speaks. It can be left out, and a stream's name can hold every character.
fn contended(constraint: &str, detail: &str) -> Option<Contended> {
    let key = detail.split_once(")=(")?.1.rsplit_once(')')?.0;
    match constraint {
        VERSION_KEY => Some(Contended::Stream(key.rsplit_once(", ")?.0.to_owned())),
        ID_KEY => Some(Contended::Id(key.to_owned())),
        _ => None,
    }
}

/// For whoever only reads, or wrote nothing: what is known of a write is said by whoever sent it.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        let error = match &failure {
            Failure::Late | Failure::Lost(_) | Failure::Unreached(_) => Self::unavailable(message),
            Failure::Stopped { .. } => Self::unavailable(message).at_once(),
            Failure::Setup(_) => Self::config(message),
            Failure::Unreadable(_) => return Self::corrupt("an answer of the database", message),
            Failure::Closed => return Self::closed(),
            // Found after the fact: what was to be written may stand.
            Failure::Bug(_) => return Self::internal(message).with_outcome(Outcome::Unknown),
            Failure::Refused { code, constraint, .. } => match (code.as_str(), constraint.as_deref()) {
                ("23505", Some(POSITION_KEY)) => Self::config(
                    "the sequence of positions lies below the log's head: open the store again, which says how to mend it",
                ),
                ("3F000" | "42P01" | "42703" | "42883" | "42501" | "28000" | "28P01" | "3D000", _) => {
                    Self::config(message)
                }
                ("55P03", _) => Self::unavailable(format!("{message}: another transaction holds up this stream")),
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
    fn a_violation_tells_what_was_contended_whatever_the_stream_is_called() {
        let detail = |key: &str| format!("Key (stream, version)=({key}) already exists.");
        let stream = |name: &str| Some(Contended::Stream(name.to_owned()));
        assert_eq!(contended(VERSION_KEY, &detail("order-1, 7")), stream("order-1"));
        assert_eq!(contended(VERSION_KEY, &detail("a, b)=(c), 12")), stream("a, b)=(c)"));
        assert_eq!(contended(ID_KEY, "Schlüssel »(id)=(7f)« existiert bereits."), Some(Contended::Id("7f".to_owned())));
        assert_eq!(contended(VERSION_KEY, "nothing"), None);
        assert_eq!(contended(POSITION_KEY, "Key (position)=(7) already exists."), None);
    }

    #[test]
    fn what_may_have_been_done_is_told_from_what_was_never_sent() {
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
            assert_eq!((failure.class(), failure.spoils()), (class, true), "{failure}");
            assert_eq!(Error::from(failure).code(), code);
        }
        assert_eq!(unknown(Failure::Late).outcome(), Outcome::Unknown);
        assert_eq!(Failure::Lost("reset".to_owned()).before_sending().class(), Class::Unreached);
    }

    #[test]
    fn a_certificate_for_another_host_is_told_without_the_hosts_name() {
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
    fn what_waiting_cannot_help_is_answered_at_once() {
        let refused =
            Failure::Refused { code: "25006".to_owned(), constraint: None, contended: None, message: "no".to_owned() };
        assert!(refused.is_read_only() && refused.spoils() && refused.class() == Class::Again);
        let stopped = refused.stays();
        assert!(!stopped.is_read_only() && !stopped.spoils() && stopped.class() == Class::Final);
        let error = Error::from(stopped.map_words(|words| words.to_uppercase()));
        assert_eq!((error.code(), error.outcome(), error.worth_a_retry()), ("unavailable", Outcome::NotApplied, false));
        assert!(error.to_string().contains("NO (25006)"), "{error}");
    }

    #[test]
    fn a_server_that_is_full_or_starting_is_tried_again_and_one_that_refuses_is_not() {
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
