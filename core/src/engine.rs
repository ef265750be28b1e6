//! Runs the database work of a handle in tasks, with a deadline and retries. Closing waits for them. Knows no database.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio::runtime::Handle as Runtime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::deadline::until;
use crate::error::{Error, Result};

/// The tasks of one handle, and whether it is closed.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) runtime: Runtime,
    pub(crate) closed: CancellationToken,
    tasks: TaskTracker,
    process_id: u32,
}

impl Engine {
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self { runtime, closed: CancellationToken::new(), tasks: TaskTracker::new(), process_id: std::process::id() }
    }

    /// Whether this process was forked from the one that made the handle.
    pub(crate) fn forked(&self) -> bool {
        std::process::id() != self.process_id
    }

    /// Makes the engine look like one that a forked child has inherited.
    #[cfg(test)]
    pub(crate) const fn pretend_fork(&mut self) {
        self.process_id = 0;
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        // This check comes first, because the others use locks that a thread of the parent may have held at the fork.
        if self.forked() {
            return Err(Error::closed()
                .with_hint("the store was opened before the process was forked: open one in the child process"));
        }
        if self.closed.is_cancelled() {
            return Err(Error::closed());
        }
        Ok(())
    }

    /// Begins a call. Close waits until the token is dropped.
    pub(crate) fn begin(&self) -> Result<TaskTrackerToken> {
        if self.forked() {
            self.check_open()?;
        }
        // The token comes before the check, so that a close in between waits for it.
        let token = self.tasks.token();
        self.check_open()?;
        Ok(token)
    }

    /// Runs work in a task and waits for it until the deadline.
    ///
    /// Work that cannot reach the database is repeated, with growing pauses, until the deadline. The task is never
    /// dropped: if the caller stops waiting, it runs to its end. Past the deadline the error has the last cause.
    pub(crate) async fn run<T, F, W>(&self, deadline: Instant, work: W) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
        W: Fn() -> F + Send + Sync + 'static,
    {
        let last_failure: Arc<Mutex<Option<Error>>> = Arc::default();
        let failures = Arc::clone(&last_failure);
        let closed = self.closed.clone();
        self.check_open()?;
        // A backend that answers at once, as memory does, does not look at the time.
        if Instant::now() >= deadline {
            return Err(Error::late(None));
        }
        let task = async move {
            let again = |error: &Error| error.worth_a_retry() && Instant::now() < deadline && !closed.is_cancelled();
            let remember = |error: &Error, _: Duration| {
                *failures.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
            };
            work.retry(back_off()).when(again).notify(remember).await
        };
        let running = {
            let _token = self.begin()?;
            self.tasks.spawn_on(task, &self.runtime)
        };
        let earlier = || last_failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match until(&self.runtime, deadline, running).await {
            Some(Ok(answer)) => answer.map_err(|error| if error.is_late() { Error::late(earlier()) } else { error }),
            Some(Err(panic)) => Err(Error::internal("a task of the store panicked").with_cause(panic)),
            None => Err(Error::late(earlier())),
        }
    }

    /// Refuses new calls and waits for those that run.
    pub(crate) async fn close(&self) {
        self.end().await;
    }

    /// Refuses new calls. The future ends with those that run.
    pub(crate) fn end(&self) -> impl Future<Output = ()> + Send + use<> {
        self.closed.cancel();
        self.tasks.close();
        let tasks = self.tasks.clone();
        async move { tasks.wait().await }
    }
}

/// The pauses between attempts to reach a database: from 20 ms up to 1 s, with jitter, until the deadline.
pub(crate) fn back_off() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(1))
        .without_max_times()
        .with_jitter()
}
