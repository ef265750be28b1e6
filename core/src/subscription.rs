//! Subscriptions: catch up, then go on with new events. One loop for all backends.
//!
//! A subscription reads pages for itself until it has caught up. From then on it takes them from the tail reader
//! ([`crate::tail`]), which reads each page once for all, and filters them. In both cases it goes on from its position,
//! so nothing is missed or repeated when it changes between them.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use backon::{BackoffBuilder, ExponentialBackoff};
use futures_core::Stream;
use tokio::task::coop::poll_proceed;
use tokio_util::sync::CancellationToken;

use crate::engine::back_off;
use crate::error::{Error, Result};
use crate::event::RecordedEvent;
use crate::faults::planted;
use crate::handle::Handle;
use crate::limits::{PAGE_BYTES, PAGE_EVENTS};
use crate::options::{Start, SubscribeOptions};
use crate::position::Direction;
use crate::pull::{Fetched, Pull, Source};
use crate::query::Query;
use crate::request::{LogPage, LogPageRequest};
use crate::tail::{TailReader, Taken, ends};

/// An item of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An event that matches.
    Event(RecordedEvent),
    /// Everything that was committed so far was given. Later events follow as they are written. It comes again after
    /// the reader was a whole page behind and caught up.
    CaughtUp,
}

/// A batch of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// The events that match, in the order of positions.
    pub events: Vec<RecordedEvent>,
    /// Whether everything that was committed so far was given with these events.
    pub caught_up: bool,
}

/// A subscription to the log: a [`Stream`] of [`Item`]s, or whole batches with [`Subscription::next_batch`].
///
/// Dropping it ends it. It holds no connection between pages, and at most two pages of events.
#[derive(Debug)]
#[must_use = "a subscription is pulled"]
pub struct Subscription(Pull<Follower>);

/// Ends a subscription from another task or thread. A reader that waits for the next item gets the end.
#[derive(Clone, Debug)]
pub struct Stopper(CancellationToken);

impl Stopper {
    /// Ends the subscription without an error. Calling it twice is fine.
    pub fn stop(&self) {
        self.0.cancel();
    }
}

impl Subscription {
    pub(crate) fn new(handle: Arc<Handle>, options: SubscribeOptions) -> Self {
        let follower = Follower::new(options);
        Self(Pull::new(handle, "subscribe", follower))
    }

    /// Gives a handle that ends this subscription from another task or thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.0.stopped().clone())
    }

    /// Gives the error with which the first pull would refuse the arguments, so that a caller can have it at the call.
    /// After the first pull it gives none.
    #[must_use]
    pub fn refusal(&self) -> Option<Error> {
        self.0.refusal()
    }

    /// Gives the next batch: at least one event, or that the reader has caught up; `None` after a stop. It waits until
    /// there is something to give.
    ///
    /// # Errors
    /// As [`crate::EventStore::subscribe`]. The future can be dropped and called again without losing events.
    pub async fn next_batch(&mut self) -> Result<Option<Batch>> {
        poll_fn(|context| self.0.poll_buffer(context)).await?;
        let mut batch = Batch::default();
        for item in self.0.take() {
            match item {
                Item::Event(event) => batch.events.push(event),
                Item::CaughtUp => batch.caught_up = true,
            }
        }
        Ok((batch.caught_up || !batch.events.is_empty()).then_some(batch))
    }
}

impl Stream for Subscription {
    type Item = Result<Item>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_item(context)
    }
}

/// The state of a subscription.
struct Follower {
    query: Arc<Query>,
    /// `None` until the head is read at the first pull.
    after: Option<u64>,
    /// Whether the reader had caught up the last time, because it is told only once.
    live: bool,
    /// Its registration with the tail reader, while it has caught up.
    tail: Option<TailReader>,
    /// Whether it read for itself and found nothing, though the tail reader was further.
    stuck: bool,
    trouble: Option<ExponentialBackoff>,
}

impl Follower {
    fn new(options: SubscribeOptions) -> Result<Self> {
        options.query.check()?;
        let after = match (options.start, options.after) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid_argument(
                    "after",
                    "start and after are two ways to say where to begin: give one",
                ));
            }
            (Some(Start::Now), None) => None,
            (Some(Start::Beginning) | None, None) => Some(0),
            (None, Some(after)) => Some(after),
        };
        let query = Arc::new(options.query);
        Ok(Self { query, after, live: false, tail: None, stuck: false, trouble: None })
    }

    async fn read(&mut self, handle: &Arc<Handle>) -> Result<Vec<Item>> {
        let deadline = handle.deadline(None);
        let after = match self.after {
            Some(after) => after,
            None => handle.head(deadline).await?,
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
        let page: LogPage = handle.read_log(request).await?;
        self.after = Some(page.reached + u64::from(!page.caught_up && planted("subscription-skips-page-end")));
        let caught_up = page.caught_up && !self.live;
        // A full page means that the reader has fallen behind.
        self.live = page.caught_up;
        let items = page.events.into_iter().map(Item::Event);
        Ok(items.chain(caught_up.then_some(Item::CaughtUp)).collect())
    }

    /// Registers with the tail reader. A subscription that was twice told to read for itself, and found nothing, waits
    /// first, so that it does not ask in a loop.
    async fn join(&mut self, handle: &Arc<Handle>, found: bool) {
        let (poll_interval, timeout) = (handle.options.poll_interval, handle.options.timeout);
        if std::mem::replace(&mut self.stuck, !found) && !found {
            tokio::time::sleep(poll_interval).await;
        }
        self.tail = Some(handle.namespace.tail.join(self.after.unwrap_or_default(), poll_interval, timeout));
    }
}

impl Source for Follower {
    type Item = Item;

    fn is_live(&self) -> bool {
        self.tail.is_some()
    }

    fn poll_live(&mut self, context: &mut Context<'_>) -> Poll<Option<Vec<Item>>> {
        let Some(tail) = &self.tail else { return Poll::Ready(None) };
        let turn = ready!(poll_proceed(context));
        loop {
            let after = self.after.unwrap_or_default();
            match ready!(tail.poll_take(after, context)) {
                Taken::Behind => {
                    self.tail = None;
                    return Poll::Ready(None);
                }
                Taken::Pages(pages, reached) => {
                    self.after = Some(reached);
                    self.stuck = false;
                    let new = pages.iter().flat_map(|page| &page.events).filter(|event| event.position > after);
                    let items: Vec<Item> =
                        new.filter(|event| self.query.matches(event)).cloned().map(Item::Event).collect();
                    if !items.is_empty() {
                        turn.made_progress();
                        return Poll::Ready(Some(items));
                    }
                }
            }
        }
    }

    async fn fetch(mut self: Box<Self>, handle: Arc<Handle>) -> Result<Fetched<Self>> {
        loop {
            let before = self.after;
            match self.read(&handle).await {
                Ok(items) => {
                    self.trouble = None;
                    handle.namespace.tail.found();
                    if self.live {
                        let found = self.after != before;
                        self.join(&handle, found).await;
                    }
                    if self.live || !items.is_empty() {
                        return Ok(Fetched { items, next: Some(self) });
                    }
                }
                Err(error) if ends(&error) => return Err(error),
                Err(error) => {
                    handle.namespace.tail.lost(&error);
                    let pause = self.trouble.get_or_insert_with(|| back_off().build()).next();
                    tokio::time::sleep(pause.unwrap_or_default()).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::Waker;
    use std::time::Duration;

    use super::*;
    use crate::error::ErrorKind;
    use crate::limits::{DEFAULT_POLL_INTERVAL, DEFAULT_TIMEOUT};
    use crate::options::OpenOptions;

    /// In a forked child a lock that a thread of the parent held at the fork is never released.
    #[tokio::test]
    async fn a_subscription_that_a_forked_child_has_inherited_takes_no_lock() -> Result<()> {
        let mut handle = Handle::open(OpenOptions::new("memory:")).await?;
        handle.engine.pretend_fork();
        let handle = Arc::new(handle);
        let mut follower = Follower::new(SubscribeOptions::default())?;
        follower.tail = Some(handle.namespace.tail.join(0, DEFAULT_POLL_INTERVAL, DEFAULT_TIMEOUT));
        let mut subscription = Subscription(Pull::new(Arc::clone(&handle), "subscribe", Ok(follower)));
        let held = handle.namespace.tail.hold();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let polled = Pin::new(&mut subscription).poll_next(&mut Context::from_waker(Waker::noop()));
            drop(subscription);
            // The test may have given up.
            let _ = tell.send(polled);
        });
        let polled = told.recv_timeout(Duration::from_secs(5));
        drop(held);
        let closed = matches!(&polled, Ok(Poll::Ready(Some(Err(error)))) if error.kind() == &ErrorKind::Closed);
        assert!(closed, "{polled:?}");
        Ok(())
    }
}
