//! `EventStore`, the one public handle.

mod append;
mod diagnose;
mod import_doubt;
mod read;
mod snapshot;
mod subscribe;
#[cfg(feature = "postgres")]
mod transaction;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Result;
use crate::handle::Handle;
use crate::options::OpenOptions;

/// A store: one open handle on one namespace of one database.
///
/// Clones are the same handle. All work on the database runs in tasks of the store, on the tokio runtime that awaited
/// [`EventStore::open`]. So a caller that goes away never leaves a connection in the middle of an operation. The
/// futures themselves can be polled anywhere.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
/// use streamkeep::{Event, EventStore, ExpectedVersion};
/// let store = EventStore::open("memory:").await?;
/// let placed = Event::json_text("OrderPlaced", r#"{"total": 12.5}"#);
/// let at = store.append("order-42", [placed], ExpectedVersion::NoStream).await?;
/// assert_eq!(at.version, 1);
/// store.close().await
/// # }
/// ```
#[derive(Clone)]
pub struct EventStore {
    handle: Arc<Handle>,
    timeout: Duration,
}

impl fmt::Debug for EventStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStore").field("options", &self.handle.options).field("closed", &self.is_closed()).finish()
    }
}

impl EventStore {
    /// Opens a store: `memory:` (a log of this handle), `memory:NAME` (shared in this process), `sqlite:PATH`,
    /// `postgres://…`, `mongodb://…` or `mongodb+srv://…`.
    ///
    /// Creates what is missing. Many clients can do that at the same time. Options are parameters of the URL, or see
    /// [`OpenOptions`].
    ///
    /// # Errors
    /// `config` if the URL or an option is wrong, if the store cannot work with the server's configuration or the
    /// database's format, or if no tokio runtime is running; `unavailable` if the database cannot be reached.
    pub async fn open(url: impl Into<String>) -> Result<Self> {
        OpenOptions::new(url).open().await
    }

    /// The same handle, with another timeout for the calls made through this value.
    ///
    /// It is the default of calls that take a timeout, and the only way to set one for those that take no options. The
    /// longest is a century.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
    /// use std::time::Duration;
    /// let store = streamkeep::EventStore::open("memory:").await?;
    /// assert_eq!(store.with_timeout(Duration::from_secs(2)).head().await?, 0);
    /// # store.close().await }
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { handle: Arc::clone(&self.handle), timeout }
    }

    /// Closes the store: waits for calls in flight, then frees what no other handle uses. Closing twice is fine.
    ///
    /// Any later use of the handle, its clones and its readers is `closed`.
    ///
    /// # Errors
    /// None today. A later version may have a backend whose close can fail.
    pub async fn close(&self) -> Result<()> {
        self.handle.close().await;
        Ok(())
    }

    /// Whether the handle was closed, or belongs to the parent of a forked process.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.handle.check_open().is_err()
    }

    /// The deadline of a call that begins now: its own timeout, or else this value's.
    fn deadline(&self, timeout: Option<Duration>) -> Instant {
        self.handle.deadline(timeout.or(Some(self.timeout)))
    }
}

impl OpenOptions {
    /// Opens the store. See [`EventStore::open`].
    ///
    /// # Errors
    /// As [`EventStore::open`].
    pub async fn open(self) -> Result<EventStore> {
        let handle = Handle::open(self).await.map_err(|error| error.with_operation("open"))?;
        let timeout = handle.options.timeout;
        Ok(EventStore { handle: Arc::new(handle), timeout })
    }
}
