//! The stores and readers of a channel, and the calls that concern them. `operations.rs`, which is generated, has the
//! other ones.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use streamkeep::{Error, EventStore, Events, OpenOptions, RecordedEvent, Stopper, Subscription};

use crate::convert;
use crate::error::Failure;
use crate::frame::{Reader, Writer};
use crate::operations::{self, CLOSE, OPEN};

/// The next page of a reader, and its end. The generated operations have greater numbers.
const NEXT: u8 = 2;
const STOP: u8 = 3;

/// The result of a call: the answer's bytes, and for `open` the store, which is kept when the answer is delivered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    body: Writer,
    opened: Option<(i64, EventStore)>,
}

pub(crate) type Work = BoxFuture<'static, Result<Answer, Failure>>;

/// The JVM's stores and readers, by the numbers that it gave them.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    stores: Table<EventStore>,
    readers: Table<Reading>,
}

type Table<T> = Arc<Mutex<HashMap<i64, T>>>;

fn locked<K: Eq + Hash, T>(table: &Mutex<HashMap<K, T>>) -> MutexGuard<'_, HashMap<K, T>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handles {
    pub(crate) fn count(&self) -> usize {
        locked(&self.stores).len() + locked(&self.readers).len()
    }

    pub(crate) fn keep(&self, answer: Answer) -> Writer {
        if let Some((number, store)) = answer.opened {
            locked(&self.stores).insert(number, store);
        }
        answer.body
    }

    /// Reads a request and returns its work, which is not started yet; `None` if it is done already.
    pub(crate) fn prepare(&self, operation: u8, frame: &mut Reader<'_>) -> Result<Option<Work>, Failure> {
        let number = frame.long()?;
        match operation {
            OPEN => return open(number, frame).map(Some),
            NEXT => return self.next(number).map(Some),
            STOP => {
                self.stop(number);
                return Ok(None);
            }
            // Closing twice is fine, and so is closing a store that could not be opened.
            CLOSE => return Ok(Some(self.close(number))),
            _ => {}
        }
        let store = locked(&self.stores).get(&number).cloned().ok_or(Failure::Closed)?;
        if operations::reads(operation) {
            let number = frame.long()?;
            let reading = operations::begin(operation, store, frame)?;
            locked(&self.readers).insert(number, reading);
            return self.next(number).map(Some);
        }
        operations::prepare(operation, store, frame).map(Some)
    }

    pub(crate) fn clear(&self) {
        let stores = std::mem::take(&mut *locked(&self.stores));
        let readers = std::mem::take(&mut *locked(&self.readers));
        drop((stores, readers));
    }

    /// Closes a store, and lets go of it when that is done.
    fn close(&self, number: i64) -> Work {
        let stores = Arc::clone(&self.stores);
        async move {
            let store = locked(&stores).get(&number).cloned();
            if let Some(store) = store {
                store.close().await?;
                locked(&stores).remove(&number);
            }
            answer(|_, ()| (), ())
        }
        .boxed()
    }

    fn next(&self, number: i64) -> Result<Work, Failure> {
        let reading =
            locked(&self.readers).get(&number).cloned().ok_or_else(|| Failure::internal("an unknown reader"))?;
        let readers = Arc::clone(&self.readers);
        Ok(async move {
            let mut body = Writer::default();
            let ended = reading.next(&mut body).await;
            if !matches!(ended, Ok(false)) {
                locked(&readers).remove(&number);
            }
            ended?;
            Ok(Answer { body, opened: None })
        }
        .boxed())
    }

    /// Ends a reader. A caller that waits for its next page gets the end.
    fn stop(&self, number: i64) {
        let reading = locked(&self.readers).remove(&number);
        if let Some(stopper) = reading.and_then(|reading| reading.stopper) {
            stopper.stop();
        }
    }
}

/// The store with the timeout of a call that takes no other options.
pub(crate) fn timed(store: EventStore, frame: &mut Reader<'_>) -> Result<EventStore, Failure> {
    Ok(frame.optional_duration("timeout")?.map_or_else(|| store.clone(), |timeout| store.with_timeout(timeout)))
}

pub(crate) fn answer<T>(write: impl FnOnce(&mut Writer, T), value: T) -> Result<Answer, Failure> {
    let mut body = Writer::default();
    write(&mut body, value);
    Ok(Answer { body, opened: None })
}

fn open(number: i64, frame: &mut Reader<'_>) -> Result<Work, Failure> {
    let options = OpenOptions::new(frame.text()?);
    let options = operations::open_options(options, frame)?;
    Ok(async move { Ok(Answer { body: Writer::default(), opened: Some((number, options.open().await?)) }) }.boxed())
}

/// A read or a subscription that the JVM pulls.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    source: Arc<tokio::sync::Mutex<Source>>,
    stopper: Option<Stopper>,
}

#[derive(Debug)]
enum Source {
    Pages { store: EventStore, events: Events, ahead: Option<Result<Option<Vec<RecordedEvent>>, Error>> },
    Subscription(Subscription),
}

impl Reading {
    pub(crate) fn pages(store: EventStore, events: Events) -> Self {
        Self { source: Arc::new(tokio::sync::Mutex::new(Source::Pages { store, events, ahead: None })), stopper: None }
    }

    pub(crate) fn subscription(subscription: Subscription) -> Self {
        let stopper = Some(subscription.stopper());
        Self { source: Arc::new(tokio::sync::Mutex::new(Source::Subscription(subscription))), stopper }
    }

    /// Writes the next page or batch. Returns whether it is the last.
    async fn next(&self, frame: &mut Writer) -> Result<bool, Error> {
        match &mut *self.source.lock().await {
            Source::Subscription(subscription) => {
                let batch = subscription.next_batch().await?;
                convert::write_batch(frame, batch.as_ref());
                Ok(batch.is_none())
            }
            Source::Pages { store, events, ahead } => {
                let known = ahead.take().filter(|_| !store.is_closed());
                let page = match known {
                    Some(page) => page?,
                    None => events.next_page().await?,
                };
                // The next page is fetched ahead, so that the last page is marked as the last. That saves the JVM a
                // call.
                *ahead = if page.is_some() { events.next_page().now_or_never() } else { None };
                let ended = page.is_none() || matches!(ahead, Some(Ok(None)));
                convert::write_page(frame, &page.unwrap_or_default(), ended);
                Ok(ended)
            }
        }
    }
}
