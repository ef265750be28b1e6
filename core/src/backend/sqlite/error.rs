//! The failures of the driver, and the error that the caller gets for each.

use sqlx::Error as DriverError;

use crate::error::Error;

/// A failure of the driver. Its kind decides what the store does next.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    cause: Option<DriverError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// Another connection holds the lock. Nothing was done.
    Busy,
    /// The deadline passed. The statement may still run.
    Late,
    /// The disk is full. The transaction is rolled back.
    Full,
    /// The file, its folder or its file system is read-only.
    ReadOnly,
    /// The file is damaged, or not a SQLite file.
    Corrupt,
    /// The file, its `-wal` or its `-shm` is no longer the one that was opened.
    Removed,
    /// The file, its folder, its `-wal` or its `-shm` cannot be opened.
    CannotOpen,
    /// The system refused a write, because of a quota, a limit on the file's length or a failing disk. The write may be
    /// applied.
    CannotWrite,
    /// I/O or memory failed, or the connection's thread died. The write may be applied.
    Broken,
    /// A unique index refused a value.
    Unique,
    /// A version was NULL: the stream's version is not as expected; see [`super::sql`].
    Expectation,
    /// Another constraint or limit of SQLite refused a value.
    Refused,
    /// Everything else is a bug in this library.
    Bug,
}

impl Failure {
    pub(super) const fn late() -> Self {
        Self { kind: FailureKind::Late, cause: None }
    }

    /// Stored data that the store cannot have written.
    pub(super) const fn unreadable() -> Self {
        Self { kind: FailureKind::Corrupt, cause: None }
    }

    pub(super) fn removed(cause: Option<std::io::Error>) -> Self {
        Self { kind: FailureKind::Removed, cause: cause.map(DriverError::Io) }
    }

    pub(super) const fn bug() -> Self {
        Self { kind: FailureKind::Bug, cause: None }
    }

    #[cfg(test)]
    pub(super) const fn of_kind(kind: FailureKind) -> Self {
        Self { kind, cause: None }
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
        // SQLITE_IOERR_SHMSIZE: no room for the `-shm` file.
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
                Self::unavailable(with_detail("the disk of the SQLite file is full", &failure.cause)).at_once()
            }
            FailureKind::ReadOnly => {
                Self::unavailable(with_detail("the SQLite file is read-only", &failure.cause)).at_once()
            }
            FailureKind::CannotWrite => {
                Self::unavailable(with_detail("the system refused to write the SQLite file", &failure.cause)).at_once()
            }
            FailureKind::Corrupt => Self::corrupt("sqlite", "the file is damaged, or is not a SQLite file"),
            FailureKind::Removed => Self::corrupt(
                "sqlite",
                "the SQLite file, its -wal or its -shm was removed, replaced or truncated while it was open",
            )
            .with_hint("close every store on it, put the file back, and open it again"),
            FailureKind::CannotOpen => {
                Self::unavailable(with_detail("the SQLite file, its -wal or its -shm cannot be opened", &failure.cause))
            }
            FailureKind::Broken => Self::unavailable(with_detail("SQLite could not read or write", &failure.cause)),
            FailureKind::Unique | FailureKind::Expectation | FailureKind::Refused => {
                Self::internal("SQLite refused a value that was checked")
            }
            FailureKind::Bug => Self::internal("SQLite refused a statement"),
        };
        match failure.cause {
            Some(cause) => error.with_cause(cause),
            None => error,
        }
    }
}

/// Appends SQLite's own message, if there is one.
fn with_detail(what: &str, cause: &Option<DriverError>) -> String {
    match cause {
        Some(DriverError::Database(error)) => format!("{what}: {}", error.message()),
        Some(cause) => format!("{what}: {cause}"),
        None => what.to_owned(),
    }
}

/// The error of a failure while a store is being opened. A file that cannot be opened is `config` then, because a retry
/// does not help.
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
        let error = Error::config(with_detail(message, &self.cause))
            .with_hint("check that its folder exists and that this program may write there");
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
