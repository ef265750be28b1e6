//! The tail reader: it reads new events of the log once, for all subscriptions of the namespace that have caught up.
//!
//! It waits for a hint or for the poll interval, reads the next page and keeps it in a window of bounded size. A
//! subscription that has caught up takes its events from there, by position. One that lags behind the window reads for
//! itself until it has caught up again, so it slows down only itself.
//!
//! There is no switch between catching up and being notified: the log is always read by position, and a hint only says
//! when to look again. So a lost hint costs at most the poll interval, and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff};
use time::OffsetDateTime;
use tokio::runtime::Handle as Runtime;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::EventBackend;
use crate::deadline::deadline_in;
use crate::diagnosis::Loss;
use crate::engine::back_off;
use crate::error::{Error, ErrorKind, Result};
use crate::faults::{planted, point};
use crate::hints::Hints;
use crate::limits::{DEFAULT_TIMEOUT, PAGE_BYTES, PAGE_EVENTS};
use crate::position::Direction;
use crate::query::Query;
use crate::request::{LogPage, LogPageRequest};
use crate::window::{TailPage, Window};

/// While hints come faster than reads, reading takes at most this share of the time: one part in this number.
const SHARE: u32 = 4;
/// The approximate cost of waking a reader.
const WAKE: Duration = Duration::from_micros(10);
/// The longest time between the starts of two reads while there are new events.
const LONGEST_SPACING: Duration = Duration::from_millis(20);

/// The tail reader of a namespace. It runs while at least one subscription takes from it.
#[derive(Debug)]
pub(crate) struct Tail {
    events: Arc<dyn EventBackend>,
    hints: Arc<Hints>,
    /// The tasks that closing the namespace waits for.
    tasks: TaskTracker,
    closed: CancellationToken,
    runtime: Runtime,
    state: Mutex<State>,
    /// Signals that a reader was added or removed.
    changed: Notify,
    loss: Mutex<Option<Loss>>,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    window: Window,
    readers: HashMap<u64, Registered>,
    next_id: u64,
}

#[derive(Debug)]
struct Registered {
    poll_interval: Duration,
    timeout: Duration,
    waker: Option<Waker>,
}

/// A subscription's place at the tail. It counts as a reader until it is dropped.
#[derive(Debug)]
pub(crate) struct TailReader {
    tail: Arc<Tail>,
    id: u64,
}

/// The answer to a reader.
pub(crate) enum Taken {
    /// Pages that have everything above its position, and how far they go.
    Pages(Vec<Arc<TailPage>>, u64),
    /// The window begins above its position, or the tail reader has stopped. The subscription has to read for itself.
    Behind,
}

impl Tail {
    pub(crate) fn new(
        events: Arc<dyn EventBackend>,
        hints: Arc<Hints>,
        tasks: TaskTracker,
        closed: CancellationToken,
        runtime: Runtime,
    ) -> Self {
        let (state, changed, loss) = (Mutex::default(), Notify::new(), Mutex::default());
        Self { events, hints, tasks, closed, runtime, state, changed, loss }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds the lock, as a thread of a parent process may have held it at a fork.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> impl Sized + '_ {
        self.state()
    }

    /// Registers a reader that has read everything up to `after`, and starts the tail reader if it does not run.
    pub(crate) fn join(self: &Arc<Self>, after: u64, poll_interval: Duration, timeout: Duration) -> TailReader {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        state.readers.insert(id, Registered { poll_interval, timeout, waker: None });
        state.window.taken(after);
        if state.running {
            drop(state);
            self.changed.notify_one();
        } else {
            state.running = true;
            state.window = Window::at(after);
            drop(state);
            let (tail, closed) = (Arc::clone(self), self.closed.clone());
            let run = async move { closed.run_until_cancelled_owned(tail.run()).await };
            // Closing waits for it, so that it starts no read after the close.
            self.tasks.spawn_on(run, &self.runtime);
        }
        TailReader { tail: Arc::clone(self), id }
    }

    async fn run(self: Arc<Self>) {
        let mut hinted = self.hints.listen();
        let (mut mark, mut pauses): (_, Option<ExponentialBackoff>) = (None, None);
        loop {
            let begun = Instant::now();
            // Before the read, so that a write from here on ends the wait below.
            hinted.mark_unchanged();
            let read = self.read_next().await;
            point("subscription-after-page").await;
            if planted("subscription-listens-late") {
                hinted.mark_unchanged();
            }
            let ended = matches!(&read, Err(error) if ends(error));
            if self.stop(ended) {
                return;
            }
            match read {
                Ok(caught_up) => {
                    pauses = None;
                    self.found();
                    if caught_up {
                        let cost = begun.elapsed();
                        self.wait(&mut hinted, &mut mark).await;
                        tokio::time::sleep_until(begun + self.spacing(cost)).await;
                    } else {
                        // Lets the readers take this page before the next one pushes it out of the window.
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) => {
                    self.lost(&error);
                    let pause = pauses.get_or_insert_with(|| back_off().build()).next();
                    tokio::time::sleep(pause.unwrap_or_default()).await;
                }
            }
        }
    }

    /// Reads the next page and hands it out. Returns whether nothing more is there.
    ///
    /// The page is read in its own task, because database work must not be dropped half way. Closing waits for the
    /// task.
    async fn read_next(&self) -> Result<bool> {
        let (after, deadline) = {
            let state = self.state();
            (state.window.reached(), deadline_in(state.timeout()))
        };
        // Half a window, so that readers can take a page while the next one is read.
        let request = LogPageRequest {
            after,
            before: None,
            query: Arc::new(Query::default()),
            direction: Direction::Forward,
            max_events: PAGE_EVENTS / 2,
            max_bytes: PAGE_BYTES / 2,
            deadline,
        };
        let events = Arc::clone(&self.events);
        let read = async move {
            point("log-page").await;
            events.read_log(&request).await?.checked(&request)
        };
        let page = self.tasks.spawn_on(read, &self.runtime).await;
        let page = page.map_err(|panic| Error::internal("the tail reader's task panicked").with_cause(panic))??;
        let caught_up = page.caught_up;
        self.hand_out(page);
        Ok(caught_up)
    }

    fn hand_out(&self, page: LogPage) {
        let wakers = {
            let mut state = self.state();
            if page.reached == state.window.reached() {
                return;
            }
            state.window.push(page);
            state.wakers()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until the log may have new events, or the last reader is removed.
    async fn wait(&self, hinted: &mut watch::Receiver<u64>, mark: &mut Option<u64>) {
        let deaf = planted("subscription-trusts-hints");
        // Readers that are added or removed do not delay the poll.
        let mut polled = Instant::now();
        loop {
            let poll_interval = match self.state().poll_interval() {
                Some(poll_interval) => poll_interval,
                None => return,
            };
            tokio::select! {
                // The sender belongs to the namespace and exists longer.
                _ = hinted.changed() => return,
                () = self.events.hinted(), if !deaf => return,
                () = tokio::time::sleep(poll_interval.saturating_sub(polled.elapsed())), if !deaf => {
                    if self.has_changed(mark, poll_interval).await {
                        return;
                    }
                    polled = Instant::now();
                }
                () = self.changed.notified() => {}
            }
        }
    }

    /// Checks whether the log may have new events. A database that cannot be reached counts as a change: the next read
    /// reports what is wrong.
    async fn has_changed(&self, mark: &mut Option<u64>, poll_interval: Duration) -> bool {
        let events = Arc::clone(&self.events);
        let deadline = Instant::now() + poll_interval.max(Duration::from_secs(5));
        let check = async move { events.change_mark(deadline).await };
        let found = self.tasks.spawn_on(check, &self.runtime).await.ok().and_then(Result::ok);
        let changed = found.is_none() || found != *mark;
        *mark = found;
        changed
    }

    /// The time between the starts of two reads while there are always new events. Each read takes time from the
    /// appends.
    fn spacing(&self, cost: Duration) -> Duration {
        let readers = u32::try_from(self.state().readers.len()).unwrap_or(u32::MAX);
        (cost * SHARE).saturating_add(WAKE.saturating_mul(readers)).min(LONGEST_SPACING)
    }

    /// Stops if no reader takes from the window any more, or if it cannot go on. The readers then read for themselves
    /// and get the error.
    fn stop(&self, ended: bool) -> bool {
        let wakers = {
            let mut state = self.state();
            if !ended && !state.readers.is_empty() && state.window.in_use() {
                return false;
            }
            state.running = false;
            state.window = Window::default();
            state.wakers()
        };
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    fn loss_lock(&self) -> MutexGuard<'_, Option<Loss>> {
        self.loss.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last loss, if there was one.
    pub(crate) fn last_loss(&self) -> Option<Loss> {
        self.loss_lock().clone()
    }

    /// Records that the log could not be read, and logs it once.
    pub(crate) fn lost(&self, error: &Error) {
        let mut loss = self.loss_lock();
        match &mut *loss {
            Some(loss) if loss.until.is_none() => loss.cause = error.to_string(),
            _ => {
                tracing::warn!(%error, "subscriptions cannot read the database and retry");
                *loss = Some(Loss { cause: error.to_string(), since: OffsetDateTime::now_utc(), until: None });
            }
        }
    }

    /// Records that the log can be read, and logs it if it could not before.
    pub(crate) fn found(&self) {
        if let Some(loss) = self.loss_lock().as_mut().filter(|loss| loss.until.is_none()) {
            loss.until = Some(OffsetDateTime::now_utc());
            tracing::info!("subscriptions can read the database again");
        }
    }
}

impl State {
    fn poll_interval(&self) -> Option<Duration> {
        self.readers.values().map(|reader| reader.poll_interval).min()
    }

    /// How long a page may take. A short timeout of one reader must not keep the page from the others, and a long one
    /// must not make them wait for a connection that is dead.
    fn timeout(&self) -> Duration {
        let timeouts = || self.readers.values().map(|reader| reader.timeout);
        match (timeouts().min(), timeouts().max()) {
            (Some(shortest), Some(longest)) => DEFAULT_TIMEOUT.clamp(shortest, longest),
            _ => DEFAULT_TIMEOUT,
        }
    }

    /// The readers that wait. They are woken without the lock, because a reader that is woken may take it at once.
    fn wakers(&mut self) -> Vec<Waker> {
        self.readers.values_mut().filter_map(|reader| reader.waker.take()).collect()
    }
}

impl TailReader {
    /// Takes the pages above `after`, or waits for them.
    pub(crate) fn poll_take(&self, after: u64, context: &mut Context<'_>) -> Poll<Taken> {
        // Dropped without the lock, because dropping a waker can drop its task and the readers of that task.
        let _earlier;
        let mut state = self.tail.state();
        if !state.running || !state.window.holds(after) {
            return Poll::Ready(Taken::Behind);
        }
        if let Some((pages, reached)) = state.window.above(after) {
            state.window.taken(reached);
            return Poll::Ready(Taken::Pages(pages, reached));
        }
        let Some(reader) = state.readers.get_mut(&self.id) else { return Poll::Ready(Taken::Behind) };
        if reader.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            return Poll::Pending;
        }
        _earlier = reader.waker.replace(context.waker().clone());
        drop(state);
        Poll::Pending
    }
}

impl Drop for TailReader {
    fn drop(&mut self) {
        let mut state = self.tail.state();
        let reader = state.readers.remove(&self.id);
        let last = state.readers.is_empty();
        drop(state);
        drop(reader);
        if last {
            self.tail.changed.notify_one();
        }
    }
}

/// Whether another attempt cannot help.
pub(crate) fn ends(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Internal)
}
