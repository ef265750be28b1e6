//! Runs work on the database. Each piece of work runs to its end, because the driver's futures must not be dropped half
//! way.
//!
//! Each piece of work runs in its own task. Its caller stops waiting at the deadline, and the task runs on until the
//! driver's limits end it. Until then it holds one of the database's permits, so that abandoned work counts too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use mongodb::bson::Timestamp;
use mongodb::{Client, ClientSession};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use super::error::Failure;

/// How long closing waits for work that its callers have abandoned.
const SHUTDOWN: Duration = Duration::from_millis(500);

/// A client and its permits, shared by all namespaces of a database.
#[derive(Debug)]
pub(super) struct Work {
    client: Client,
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
    /// The time of this process' last write, by the servers' clock. Every later read is at least as new, whichever
    /// server answers it.
    written: Arc<Mutex<Option<Timestamp>>>,
}

impl Work {
    pub(super) fn new(client: Client, max_connections: u32) -> Self {
        let permits = usize::try_from(max_connections).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { client, permits: Arc::new(Semaphore::new(permits)), tasks: TaskTracker::new(), written: Arc::default() }
    }

    /// Runs work with a session and waits for it until the deadline.
    pub(super) async fn run<T, F>(&self, deadline: Instant, work: impl FnOnce(ClientSession) -> F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let permit = match timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(Failure::Closed),
            Err(_) => {
                return Err(Failure::Unreached("the deadline passed while all connections were in use".to_owned()));
            }
        };
        // This takes a session from the driver's pool and sends nothing.
        let mut session = self.client.start_session().await?;
        if let Some(written) = *self.written.lock().unwrap_or_else(PoisonError::into_inner) {
            session.advance_operation_time(written);
        }
        let work = work(session);
        let task = self.tasks.spawn(async move {
            let _permit = permit;
            work.await
        });
        match timeout_at(deadline, task).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => Err(Failure::Bug(format!("work on the database panicked: {panic}"))),
            Err(_) => Err(Failure::Late),
        }
    }

    /// Records that this session has written.
    pub(super) fn wrote(&self, session: &ClientSession) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        *written = (*written).max(session.operation_time());
    }

    pub(super) async fn close(&self) {
        self.permits.close();
        self.tasks.close();
        let (client, tasks) = (self.client.clone(), self.tasks.clone());
        let shutdown = async move {
            tasks.wait().await;
            client.shutdown().immediate(true).await;
        };
        // Abandoned work may still run and needs its client, so the client is shut down after it, in a task.
        let _ = timeout_at(Instant::now() + SHUTDOWN, tokio::spawn(shutdown)).await;
    }
}

/// The time until a deadline, as a limit for the server. It is never zero, which would mean no limit.
pub(super) fn left(deadline: Instant) -> Duration {
    deadline
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(1))
        .min(Duration::from_secs(24 * 60 * 60))
}

/// A little longer than a small transaction takes, so another writer that had the turn has ended by then.
const SHORTEST_PAUSE: Duration = Duration::from_millis(8);
const LONGEST_PAUSE: Duration = Duration::from_millis(60);

/// The pauses between attempts. They have jitter, so that the same writers do not conflict again. Shorter pauses were
/// tried and put too much load on the server.
pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(SHORTEST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}
