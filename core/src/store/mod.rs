//! The one public handle.

mod append;
mod open;
mod read;
mod snapshot;
mod subscribe;
pub(crate) mod timer;
#[cfg(feature = "postgres")]
mod transaction;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::append::{AppendResult, ImportResult};
pub use self::open::{Durability, OpenOptions};
pub use self::read::Page;
pub use self::snapshot::Snapshot;
use self::timer::until;
use crate::append_queue::AppendQueue;
use crate::backend::Opened;
use crate::error::{Error, Result};
use crate::hints::Hints;
use crate::limits::MAX_TIMEOUT;

/// A store: one open handle on one namespace of one database.
///
/// Clones are the same handle. All work on the database runs in tasks of the store's own, on the tokio runtime that awaited [`EventStore::open`]: a caller that
/// goes away never leaves a connection half way. The futures themselves can be polled anywhere.
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
    shared: Arc<Shared>,
}

impl fmt::Debug for EventStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStore").field("options", &self.shared.options).field("closed", &self.shared.closed.is_cancelled()).finish()
    }
}

/// What all clones of a handle, its readers and its tasks share.
pub(crate) struct Shared {
    pub(crate) backend: Opened,
    pub(crate) queue: AppendQueue,
    pub(crate) hints: Arc<Hints>,
    pub(crate) runtime: Handle,
    pub(crate) closed: CancellationToken,
    pub(crate) options: OpenOptions,
    tasks: TaskTracker,
    freed: OnceCell<()>,
    process_id: u32,
}

impl EventStore {
    /// Opens a store: `memory:` (its own), `memory:NAME` (shared in this process), `sqlite:PATH`, `postgres://…`, `mongodb://…` or `mongodb+srv://…`.
    ///
    /// Creates what is missing, safely when many do so at once. Options stand in the URL, or see [`OpenOptions`].
    ///
    /// # Errors
    /// `config` when the URL, an option, the server's set-up or the database's format is not one to work with, or when no tokio
    /// runtime runs; `unavailable` when the database cannot be reached.
    pub async fn open(url: impl Into<String>) -> Result<Self> {
        OpenOptions::new(url).open().await
    }

    /// Closes the store: waits for what is in flight, then frees everything. Closing twice is fine.
    ///
    /// Any later use of the handle, its clones and its readers is `closed`.
    ///
    /// # Errors
    /// None today; the signature leaves room for a backend whose close can fail.
    pub async fn close(&self) -> Result<()> {
        if self.shared.forked() {
            return Ok(());
        }
        self.shared.closed.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        let shared = Arc::clone(&self.shared);
        let free = || async move {
            let events = Arc::clone(&shared.backend.events);
            // In a task, because closing is work on the database too. A panic in it leaves nothing to do here.
            let _ = shared.runtime.spawn(async move { events.close().await }).await;
        };
        self.shared.freed.get_or_init(free).await;
        Ok(())
    }

    /// Whether the handle was closed, or belongs to the parent of a forked process.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.check_open().is_err()
    }
}

impl OpenOptions {
    /// Opens the store. See [`EventStore::open`].
    ///
    /// # Errors
    /// As [`EventStore::open`].
    pub async fn open(self) -> Result<EventStore> {
        let runtime = Handle::try_current().map_err(|_| Error::config("a store is opened on a tokio runtime, and none runs here"))?;
        let place = crate::url::read(self)?;
        let deadline = deadline_in(place.options.timeout);
        let opening = until(&runtime, deadline, runtime.spawn(crate::url::open(place))).await;
        let opened = opening.ok_or_else(|| Error::unavailable("the deadline passed while the store was being opened"))?;
        let (backend, options) = opened.map_err(|panic| Error::internal("opening the store panicked").with_cause(panic))??;
        let tasks = TaskTracker::new();
        let hints = Arc::new(Hints::new(tasks.clone(), runtime.clone()));
        let closed = CancellationToken::new();
        let queue = AppendQueue::new(Arc::clone(&backend.events), Arc::clone(&hints), runtime.clone(), tasks.clone(), closed.clone());
        let shared = Shared { backend, queue, hints, runtime, closed, options, tasks, freed: OnceCell::new(), process_id: std::process::id() };
        Ok(EventStore { shared: Arc::new(shared) })
    }
}

impl Shared {
    fn forked(&self) -> bool {
        std::process::id() != self.process_id
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.is_cancelled() {
            return Err(Error::closed());
        }
        if self.forked() {
            return Err(Error::closed().with_context("this store was opened before the process was forked; open one in the child"));
        }
        Ok(())
    }

    pub(crate) fn deadline(&self, timeout: Option<Duration>) -> Instant {
        deadline_in(timeout.unwrap_or(self.options.timeout))
    }

    /// Runs work on the database in a task of its own and waits for it until the deadline.
    ///
    /// The work may be repeated: what cannot reach the database is tried again, with back-off, until the deadline. It is never dropped half way;
    /// who stops waiting lets it run to its end.
    pub(crate) async fn run<T, F, W>(self: &Arc<Self>, deadline: Instant, work: W) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
        W: Fn(Arc<Self>) -> F + Send + Sync + 'static,
    {
        let shared = Arc::clone(self);
        let task = async move {
            let attempt = || work(Arc::clone(&shared));
            let again = |error: &Error| error.retryable() && Instant::now() < deadline && !shared.closed.is_cancelled();
            attempt.retry(back_off()).when(again).await
        };
        let running = {
            // Held over the look, so that a close that comes between waits for the task.
            let _before_close = self.tasks.token();
            self.check_open()?;
            self.tasks.spawn_on(task, &self.runtime)
        };
        match until(&self.runtime, deadline, running).await {
            Some(Ok(answer)) => answer,
            Some(Err(panic)) => Err(Error::internal("a task of the store panicked").with_cause(panic)),
            None => Err(Error::unavailable("the deadline passed")),
        }
    }
}

/// The end of a time that begins now; a century is enough for everybody.
fn deadline_in(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(MAX_TIMEOUT)
}

/// How attempts at an unreachable database are spaced: from 20 ms up to 1 s, with jitter, for as long as the caller allows.
pub(crate) fn back_off() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(Duration::from_millis(20)).with_max_delay(Duration::from_secs(1)).without_max_times().with_jitter()
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.forked() {
            // The connections and files belong to the parent: a forked child leaves them as they are, for ever.
            std::mem::forget(self.backend.clone());
        }
    }
}
