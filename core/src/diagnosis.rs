//! The report on a database that `diagnose` gives.

use time::OffsetDateTime;

use crate::options::Durability;

/// The report of [`crate::EventStore::diagnose`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The database and its version, in its own words.
    pub server: String,
    /// The durability that the current settings of the database give. With `Relaxed`, a crash can lose acknowledged
    /// events.
    pub durability: Durability,
    /// The settings that decide it, with their names in the database.
    pub settings: Vec<(String, String)>,
    /// The number of the format in which the namespace is stored; 0 on memory.
    pub format: u64,
    /// The position of the last committed event that is safe to read; 0 when the log is empty.
    pub head: u64,
    /// The position up to which the log is complete: nothing can be added at or below it any more. At least the head.
    pub horizon: u64,
    /// The running writers that hold readers back. No event above the lowest of their positions is read before that
    /// writer has ended.
    pub blockers: Vec<Blocker>,
    /// When subscriptions of this process could not read the log the last time; none if they always could.
    pub last_loss: Option<Loss>,
}

/// A running writer that holds readers back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blocker {
    /// The number of its server process; none for a transaction that was prepared and has no process.
    pub process: Option<i64>,
    /// Its name: the `application_name` of its connection.
    pub application: String,
    /// What it does, in the database's words, such as `idle in transaction`.
    pub state: String,
    /// When its transaction began, by the database's clock, if the database says so.
    pub since: Option<OffsetDateTime>,
    /// Readers get no event above this position before it has ended.
    pub above: u64,
}

/// A time during which subscriptions could not read the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// The last error, in the server's words if there are any.
    pub cause: String,
    /// When it was noticed, by this machine's clock.
    pub since: OffsetDateTime,
    /// When it ended; none while it lasts.
    pub until: Option<OffsetDateTime>,
}
