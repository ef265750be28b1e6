//! Catch-up, then live: one loop for all backends.
//!
//! There is no moment at which catching up turns into being notified: the log is read by position all the time, and a hint only says when to look again.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use backon::{BackoffBuilder, ExponentialBackoff};
use futures_core::Stream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::backend::{LogPage, LogPageRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::event::RecordedEvent;
use crate::faults::{planted, point};
use crate::limits::{PAGE_BYTES, PAGE_EVENTS};
use crate::options::{Start, SubscribeOptions};
use crate::position::Direction;
use crate::query::Query;
use crate::store::{Shared, back_off};

/// What a subscription gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An event that matches.
    Event(RecordedEvent),
    /// Everything committed so far was given: from here on events come as they are written. Said again whenever the reader fell behind a whole page and caught up.
    CaughtUp,
}

/// What a subscription gives, in batches, for who hands events on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// Events that match, in position order.
    pub events: Vec<RecordedEvent>,
    /// After these events everything committed so far was given.
    pub caught_up: bool,
}

/// The log being followed: a [`Stream`] of [`Item`]s, or whole batches by [`Subscription::next_batch`].
///
/// Dropping it ends it. It holds no connection between pages, and at most two pages of events.
#[must_use = "a subscription is pulled"]
pub struct Subscription {
    shared: Arc<Shared>,
    buffer: VecDeque<Item>,
    next: Next,
    stopped: CancellationToken,
    _stop_on_drop: DropGuard,
}

/// Ends a subscription from elsewhere: whoever waits for its next item gets the end.
#[derive(Clone, Debug)]
pub struct Stopper(CancellationToken);

impl Stopper {
    /// Ends the subscription, quietly. Again is fine.
    pub fn stop(&self) {
        self.0.cancel();
    }
}

enum Next {
    From(Box<Follower>),
    Coming(JoinHandle<Result<(Batch, Box<Follower>)>>),
    Refused(Error),
    Nothing,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("buffered", &self.buffer.len()).field("stopped", &self.stopped.is_cancelled()).finish_non_exhaustive()
    }
}

impl Subscription {
    pub(crate) fn new(shared: Arc<Shared>, options: SubscribeOptions) -> Self {
        let stopped = CancellationToken::new();
        let next = match Follower::new(&shared, options, stopped.clone()) {
            Ok(follower) => Next::From(Box::new(follower)),
            Err(error) => Next::Refused(error),
        };
        Self { shared, buffer: VecDeque::new(), next, _stop_on_drop: stopped.clone().drop_guard(), stopped }
    }

    /// A handle that ends this subscription from another task or thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stopped.clone())
    }

    /// The next batch: at least one event, or the news of having caught up; `None` once stopped. Waits for as long as nothing happens.
    ///
    /// # Errors
    /// As [`crate::EventStore::subscribe`]. Can be dropped and asked again without losing anything.
    pub async fn next_batch(&mut self) -> Result<Option<Batch>> {
        poll_fn(|context| self.poll_batch(context)).await?;
        let mut batch = Batch::default();
        while let Some(item) = self.buffer.pop_front() {
            match item {
                Item::Event(event) => batch.events.push(event),
                Item::CaughtUp => batch.caught_up = true,
            }
        }
        Ok((batch.caught_up || !batch.events.is_empty()).then_some(batch))
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        if self.stopped.is_cancelled() {
            self.end();
            return Poll::Ready(Ok(()));
        }
        if let Err(closed) = self.shared.check_open() {
            let ended = matches!(self.next, Next::Nothing) && self.buffer.is_empty();
            self.end();
            return Poll::Ready(if ended { Ok(()) } else { Err(closed) });
        }
        while self.buffer.is_empty() {
            match std::mem::replace(&mut self.next, Next::Nothing) {
                Next::Nothing => break,
                Next::Refused(error) => return Poll::Ready(Err(error)),
                Next::From(follower) => self.next = self.ask(follower),
                Next::Coming(mut batch) => {
                    let outcome = match Pin::new(&mut batch).poll(context) {
                        Poll::Ready(outcome) => outcome.unwrap_or_else(|panic| Err(Error::internal("a subscription's task panicked").with_cause(panic))),
                        Poll::Pending => {
                            self.next = Next::Coming(batch);
                            return Poll::Pending;
                        }
                    };
                    if self.stopped.is_cancelled() {
                        self.end();
                        break;
                    }
                    let (batch, follower) = outcome.map_err(|error| error.with_context("subscribe"))?;
                    self.buffer.extend(batch.events.into_iter().map(Item::Event));
                    self.buffer.extend(batch.caught_up.then_some(Item::CaughtUp));
                    self.next = self.ask(follower);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn ask(&self, follower: Box<Follower>) -> Next {
        Next::Coming(self.shared.runtime.spawn(follower.next(Arc::clone(&self.shared))))
    }

    fn end(&mut self) {
        self.buffer.clear();
        self.next = Next::Nothing;
    }
}

impl Stream for Subscription {
    type Item = Result<Item>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match ready!(self.poll_batch(context)) {
            Ok(()) => Poll::Ready(self.buffer.pop_front().map(Ok)),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }
}

/// Where a subscription stands, and what it needs to go on. It moves into the task that reads the next batch and comes back with it.
struct Follower {
    query: Arc<Query>,
    /// Nothing yet: the head at the first pull.
    after: Option<u64>,
    /// Whether everything was given the last time: the news is told once.
    live: bool,
    woken: watch::Receiver<u64>,
    stopped: CancellationToken,
    trouble: Option<ExponentialBackoff>,
}

impl Follower {
    fn new(shared: &Shared, options: SubscribeOptions, stopped: CancellationToken) -> Result<Self> {
        options.query.check()?;
        let after = match (options.start, options.after) {
            (Some(_), Some(_)) => return Err(Error::invalid_argument("after", "start and after are two ways to say where to begin: give one")),
            (Some(Start::Now), None) => None,
            (Some(Start::Beginning) | None, None) => Some(0),
            (None, Some(after)) => Some(after),
        };
        Ok(Self { query: Arc::new(options.query), after, live: false, woken: shared.hints.listen(), stopped, trouble: None })
    }

    /// Reads until there is something to give. Ends early, with nothing of use, when the subscription or the store is over.
    async fn next(mut self: Box<Self>, shared: Arc<Shared>) -> Result<(Batch, Box<Self>)> {
        loop {
            // Before reading, so that whatever is written from here on ends the wait below.
            self.woken.mark_unchanged();
            let page = self.read(&shared).await;
            point("subscription-after-page").await;
            if planted("subscription-listens-late") {
                self.woken.mark_unchanged();
            }
            match page {
                Ok(batch) => {
                    self.well_again();
                    if batch.caught_up || !batch.events.is_empty() {
                        return Ok((batch, self));
                    }
                    if self.live {
                        self.wait(&shared).await?;
                    }
                }
                Err(error) if ends(&error) => return Err(error),
                Err(error) => self.back_off(&error, &shared).await?,
            }
        }
    }

    async fn read(&mut self, shared: &Arc<Shared>) -> Result<Batch> {
        let deadline = shared.deadline(None);
        let after = match self.after {
            Some(after) => after,
            None => shared.run(deadline, move |shared| async move { shared.backend.events.head(deadline).await }).await?,
        };
        self.after = Some(after);
        let request = LogPageRequest {
            after,
            before: None,
            query: Arc::clone(&self.query),
            direction: Direction::Forward,
            max_events: PAGE_EVENTS,
            max_bytes: PAGE_BYTES,
            deadline,
        };
        let page: LogPage = shared.read_log(request).await?;
        if let Some(drawn) = page.drawn.filter(|drawn| after > *drawn) {
            return Err(Error::checkpoint_ahead(after, drawn));
        }
        self.after = Some(page.reached + u64::from(!page.caught_up && planted("subscription-skips-page-end")));
        let caught_up = page.caught_up && !self.live;
        // Still live while pages are short: a full page means that the reader fell behind.
        self.live = page.caught_up;
        Ok(Batch { events: page.events, caught_up })
    }

    async fn wait(&mut self, shared: &Arc<Shared>) -> Result<()> {
        if !planted("subscription-trusts-hints") {
            shared.hints.watch(&shared.backend.events, shared.options.poll_interval, &shared.closed);
        }
        tokio::select! {
            () = self.stopped.cancelled() => Err(Error::closed()),
            () = shared.closed.cancelled() => Err(Error::closed()),
            _ = self.woken.changed() => Ok(()),
        }
    }

    /// Says once that there is trouble, and waits a little longer each time.
    async fn back_off(&mut self, error: &Error, shared: &Arc<Shared>) -> Result<()> {
        let pause = match &mut self.trouble {
            Some(pauses) => pauses.next(),
            None => {
                tracing::warn!(%error, "a subscription lost its database and tries again");
                self.trouble.insert(back_off().build()).next()
            }
        };
        tokio::select! {
            () = self.stopped.cancelled() => Err(Error::closed()),
            () = shared.closed.cancelled() => Err(Error::closed()),
            () = tokio::time::sleep(pause.unwrap_or_default()) => Ok(()),
        }
    }

    fn well_again(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("a subscription has its database back");
        }
    }
}

/// Whether trying again cannot help.
fn ends(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Internal)
}
