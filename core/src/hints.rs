//! Who waits for new events, and what wakes them: this store's own writes at once, others' by a notification or by polling.
//!
//! A hint is never the truth: whoever is woken reads the log by position. So a lost hint costs time, at most the poll interval, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::EventBackend;

/// Wakes the readers of one store.
#[derive(Debug)]
pub(crate) struct Hints {
    generation: watch::Sender<u64>,
    watching: Arc<AtomicBool>,
    /// What the store waits for when it closes.
    tasks: TaskTracker,
    runtime: Handle,
}

impl Hints {
    pub(crate) fn new(tasks: TaskTracker, runtime: Handle) -> Self {
        Self { generation: watch::Sender::new(0), watching: Arc::default(), tasks, runtime }
    }

    /// Says that the log may hold more than before.
    pub(crate) fn wake(&self) {
        self.generation.send_modify(|generation| *generation = generation.wrapping_add(1));
    }

    /// Takes note of now; what is written from here on ends the wait. Take it before reading.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Sees to it that somebody looks for others' writes for as long as anybody waits.
    pub(crate) fn watch(self: &Arc<Self>, backend: &Arc<dyn EventBackend>, poll: Duration, closed: &CancellationToken) {
        if self.watching.swap(true, Ordering::AcqRel) {
            return;
        }
        let watcher = Watcher { hints: Arc::clone(self), backend: Arc::clone(backend), poll, mark: None };
        let closed = closed.clone();
        self.runtime.spawn(async move {
            let _ = closed.run_until_cancelled_owned(watcher.run()).await;
        });
    }
}

struct Watcher {
    hints: Arc<Hints>,
    backend: Arc<dyn EventBackend>,
    poll: Duration,
    mark: Option<u64>,
}

impl Watcher {
    async fn run(mut self) {
        loop {
            if self.look().await {
                self.hints.wake();
            }
            tokio::select! {
                () = tokio::time::sleep(self.poll) => {}
                () = self.backend.hinted() => self.hints.wake(),
            }
            // Nobody waits: stop, and start again with the next who does. The flag goes down first, so that nobody who comes now is left without a watcher.
            if self.hints.generation.receiver_count() == 0 {
                self.hints.watching.store(false, Ordering::Release);
                if self.hints.generation.receiver_count() == 0 || self.hints.watching.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        }
    }

    /// Looks whether the log may hold more. A database that cannot be asked counts as a change: the readers will see for themselves.
    ///
    /// The look runs in a task of its own, because a database's work must not be dropped half way; closing waits for it.
    async fn look(&mut self) -> bool {
        let backend = Arc::clone(&self.backend);
        let deadline = Instant::now() + self.poll.max(Duration::from_secs(5));
        let look = async move { backend.change_mark(deadline).await };
        let mark = self.hints.tasks.spawn_on(look, &self.hints.runtime).await.ok().and_then(Result::ok);
        let changed = mark.is_none() || mark != self.mark;
        self.mark = mark;
        changed
    }
}
