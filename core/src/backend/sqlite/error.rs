//! What the driver can answer, and what that means to a caller.

use sqlx::Error as DriverError;

use crate::error::Error;

/// A failure of the driver, told apart as far as somebody acts differently.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    cause: Option<DriverError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// Somebody else holds the lock. Nothing was done.
    Busy,
    /// The deadline passed; the connection may still be at work.
    Late,
    /// No room on the disk. The transaction is rolled back.
    Full,
    /// The file, its folder or its file system cannot be written.
    ReadOnly,
    /// The file is damaged, or none of SQLite's.
    Corrupt,
    /// The file, or one of the files beside it, is not the one that was opened.
    Removed,
    /// The file, its folder or one of the files beside it cannot be opened.
    CannotOpen,
    /// The system refused a write: a quota, a limit on the file's length, a failing disk. What was under way may be
    /// done.
    CannotWrite,
    /// Input, output or memory failed, or the connection's worker is gone. What was under way may be done.
    Broken,
    /// A unique index said no.
    Unique,
    /// A version was NULL: how the statement of one append says that its stream is not as expected.
    Expectation,
    /// Another constraint or a limit of SQLite said no to a value.
    Refused,
    /// Anything else is a bug here.
    Bug,
}

impl Failure {
    pub(super) const fn late() -> Self {
        Self { kind: FailureKind::Late, cause: None }
    }

    /// Stored data that cannot be what the store wrote.
    pub(super) const fn unreadable() -> Self {
        Self { kind: FailureKind::Corrupt, cause: None }
    }

    pub(super) fn removed(cause: Option<std::io::Error>) -> Self {
        Self { kind: FailureKind::Removed, cause: cause.map(DriverError::Io) }
    }

    pub(super) const fn bug() -> Self {
        Self { kind: FailureKind::Bug, cause: None }
    }
}

impl From<std::io::Error> for Failure {
    fn from(cause: std::io::Error) -> Self {
        DriverError::Io(cause).into()
    }
}

impl From<DriverError> for Failure {
    fn from(cause: DriverError) -> Self {
        let kind = match &cause {
            DriverError::Database(error) => {
                error.code().and_then(|code| code.parse().ok()).map_or(FailureKind::Bug, kind_of)
            }
            DriverError::Io(_) | DriverError::WorkerCrashed => FailureKind::Broken,
            DriverError::Decode(_) | DriverError::ColumnDecode { .. } => FailureKind::Corrupt,
            _ => FailureKind::Bug,
        };
        Self { kind, cause: Some(cause) }
    }
}

/// Sorts SQLite's extended result codes; the low byte is the plain one.
const fn kind_of(code: i32) -> FailureKind {
    /// `SQLITE_CONSTRAINT_PRIMARYKEY`, `SQLITE_CONSTRAINT_UNIQUE`, `SQLITE_CONSTRAINT_ROWID`.
    const UNIQUE: [i32; 3] = [1555, 2067, 2579];
    match code & 0xff {
        // SQLITE_BUSY, SQLITE_LOCKED
        5 | 6 => FailureKind::Busy,
        // SQLITE_IOERR_SHMSIZE: no room for the file that processes share.
        10 if code == 4874 => FailureKind::Full,
        // SQLITE_IOERR_WRITE
        10 if code == 778 => FailureKind::CannotWrite,
        // SQLITE_NOMEM, SQLITE_INTERRUPT, SQLITE_IOERR, SQLITE_PROTOCOL
        7 | 9 | 10 | 15 => FailureKind::Broken,
        8 => FailureKind::ReadOnly,
        // SQLITE_CORRUPT, SQLITE_NOTADB
        11 | 26 => FailureKind::Corrupt,
        13 => FailureKind::Full,
        14 => FailureKind::CannotOpen,
        19 if code == UNIQUE[0] || code == UNIQUE[1] || code == UNIQUE[2] => FailureKind::Unique,
        // SQLITE_CONSTRAINT_NOTNULL
        19 if code == 1299 => FailureKind::Expectation,
        // SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH
        18..=20 => FailureKind::Refused,
        _ => FailureKind::Bug,
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let error = match failure.kind {
            FailureKind::Busy => {
                Self::unavailable("another process held the lock of the SQLite file until the deadline")
            }
            FailureKind::Late => Self::unavailable("the deadline passed"),
            FailureKind::Full => {
                Self::unavailable(with_words("there is no room left for the SQLite file", &failure.cause)).at_once()
            }
            FailureKind::ReadOnly => {
                Self::unavailable(with_words("the SQLite file cannot be written any more", &failure.cause)).at_once()
            }
            FailureKind::CannotWrite => {
                Self::unavailable(with_words("the system refused to write the SQLite file", &failure.cause)).at_once()
            }
            FailureKind::Corrupt => Self::corrupt("sqlite", "the SQLite file is damaged, or holds something else"),
            FailureKind::Removed => Self::corrupt(
                "sqlite",
                "the SQLite file, or one beside it (-wal, -shm), was removed, replaced or cut off while it was open",
            )
            .with_hint("close every store on it, put the file back, and open it again"),
            FailureKind::CannotOpen => Self::unavailable(with_words(
                "the SQLite file or one beside it (-wal, -shm) cannot be opened",
                &failure.cause,
            )),
            FailureKind::Broken => Self::unavailable(with_words("SQLite could not read or write", &failure.cause)),
            FailureKind::Unique | FailureKind::Expectation | FailureKind::Refused => {
                Self::internal("SQLite refused a value that was checked")
            }
            FailureKind::Bug => Self::internal("SQLite did not understand a statement"),
        };
        match failure.cause {
            Some(cause) => error.with_cause(cause),
            None => error,
        }
    }
}

/// What happened, and what SQLite says of it.
fn with_words(what: &str, cause: &Option<DriverError>) -> String {
    match cause {
        Some(DriverError::Database(error)) => format!("{what}: {}", error.message()),
        Some(cause) => format!("{what}: {cause}"),
        None => what.to_owned(),
    }
}

/// A failure while a store is being opened, when waiting does not help and the caller can still choose another file.
pub(super) fn at_open(cause: DriverError) -> Error {
    Failure::from(cause).at_open()
}

impl Failure {
    /// As [`at_open`].
    pub(super) fn at_open(self) -> Error {
        let message = match self.kind {
            FailureKind::CannotOpen => "the SQLite file cannot be opened",
            FailureKind::ReadOnly => "the SQLite file, its folder or its file system cannot be written",
            _ => return self.into(),
        };
        let error = Error::config(with_words(message, &self.cause))
            .with_hint("does its folder exist, and may this program write there?");
        match self.cause {
            Some(cause) => error.with_cause(cause),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_of_the_driver_has_its_code() {
        let rows: &[(i32, FailureKind, &str)] = &[
            (1, FailureKind::Bug, "internal"),
            (5, FailureKind::Busy, "unavailable"),
            (261, FailureKind::Busy, "unavailable"),
            (517, FailureKind::Busy, "unavailable"),
            (6, FailureKind::Busy, "unavailable"),
            (7, FailureKind::Broken, "unavailable"),
            (8, FailureKind::ReadOnly, "unavailable"),
            (1032, FailureKind::ReadOnly, "unavailable"),
            (9, FailureKind::Broken, "unavailable"),
            (10, FailureKind::Broken, "unavailable"),
            (778, FailureKind::CannotWrite, "unavailable"),
            (4874, FailureKind::Full, "unavailable"),
            (1034, FailureKind::Broken, "unavailable"),
            (11, FailureKind::Corrupt, "corrupt"),
            (26, FailureKind::Corrupt, "corrupt"),
            (13, FailureKind::Full, "unavailable"),
            (14, FailureKind::CannotOpen, "unavailable"),
            (15, FailureKind::Broken, "unavailable"),
            (18, FailureKind::Refused, "internal"),
            (275, FailureKind::Refused, "internal"),
            (3091, FailureKind::Refused, "internal"),
            (1299, FailureKind::Expectation, "internal"),
            (1555, FailureKind::Unique, "internal"),
            (2067, FailureKind::Unique, "internal"),
            (2579, FailureKind::Unique, "internal"),
            (21, FailureKind::Bug, "internal"),
        ];
        for (code, kind, answer) in rows {
            assert_eq!(kind_of(*code), *kind, "SQLite's {code}");
            assert_eq!(Error::from(Failure { kind: *kind, cause: None }).code(), *answer, "SQLite's {code}");
        }
        assert_eq!(Failure::from(DriverError::WorkerCrashed).kind, FailureKind::Broken);
        assert_eq!(Failure::from(DriverError::Decode("not text".into())).kind, FailureKind::Corrupt);
        assert_eq!(Failure::from(DriverError::RowNotFound).kind, FailureKind::Bug);
        assert_eq!(Error::from(Failure::late()).code(), "unavailable");
    }
}
