//! The operations: converts the bytes of a request to a call of core, and its result to bytes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use streamkeep::{AppendOptions, Error, EventStore, Events, RecordedEvent, Stopper, Subscription};

use crate::convert;
use crate::error::Failure;
use crate::frame::{Reader, Writer};

const OPEN: u8 = 2;
const APPEND: u8 = 3;
const IMPORT_EVENTS: u8 = 4;
const READ: u8 = 5;
const READ_ALL: u8 = 6;
const READ_PAGE: u8 = 7;
const SUBSCRIBE: u8 = 8;
const NEXT: u8 = 9;
const STOP: u8 = 10;
const SAVE_SNAPSHOT: u8 = 11;
const LOAD_SNAPSHOT: u8 = 12;
const HEAD: u8 = 13;
const CLOSE: u8 = 14;

/// The name of an operation, as every language's errors have it.
pub(crate) const fn name(operation: u8) -> &'static str {
    match operation {
        OPEN => "open",
        APPEND => "append",
        IMPORT_EVENTS => "import_events",
        READ => "read",
        READ_ALL => "read_all",
        READ_PAGE => "read_page",
        SUBSCRIBE => "subscribe",
        SAVE_SNAPSHOT => "save_snapshot",
        LOAD_SNAPSHOT => "load_snapshot",
        HEAD => "head",
        CLOSE => "close",
        _ => "next",
    }
}

/// The result of a call: the answer's bytes, and for `open` the store, which is kept when the answer is delivered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    body: Writer,
    opened: Option<(i64, EventStore)>,
}

type Work = BoxFuture<'static, Result<Answer, Failure>>;

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
        let work = match operation {
            APPEND => append(store, frame)?,
            IMPORT_EVENTS => import_events(store, frame)?,
            READ | READ_ALL | SUBSCRIBE => self.begin(operation, store, frame)?,
            READ_PAGE => read_page(store, frame)?,
            SAVE_SNAPSHOT => save_snapshot(store, frame)?,
            LOAD_SNAPSHOT => load_snapshot(store, frame)?,
            HEAD => {
                let store = timed(store, frame)?;
                async move { answer(|frame, head| frame.number(head), store.head().await?) }.boxed()
            }
            _ => return Err(Failure::internal("an unknown operation")),
        };
        Ok(Some(work))
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

    /// Makes a reader and fetches its first page.
    fn begin(&self, operation: u8, store: EventStore, frame: &mut Reader<'_>) -> Result<Work, Failure> {
        let number = frame.long()?;
        let reading = match operation {
            READ => {
                let stream = frame.text()?;
                let events = store.read(stream, convert::read_options(frame)?);
                Reading::pages(store, events)
            }
            READ_ALL => {
                let events = store.read_all(convert::read_all_options(frame)?);
                Reading::pages(store, events)
            }
            _ => Reading::subscription(store.subscribe(convert::subscribe_options(frame)?)),
        };
        locked(&self.readers).insert(number, reading);
        self.next(number)
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
fn timed(store: EventStore, frame: &mut Reader<'_>) -> Result<EventStore, Failure> {
    Ok(frame.optional_duration("timeout")?.map_or_else(|| store.clone(), |timeout| store.with_timeout(timeout)))
}

fn answer<T>(write: impl FnOnce(&mut Writer, T), value: T) -> Result<Answer, Failure> {
    let mut body = Writer::default();
    write(&mut body, value);
    Ok(Answer { body, opened: None })
}

fn open(number: i64, frame: &mut Reader<'_>) -> Result<Work, Failure> {
    let options = convert::open_options(frame)?;
    Ok(async move { Ok(Answer { body: Writer::default(), opened: Some((number, options.open().await?)) }) }.boxed())
}

fn append(store: EventStore, frame: &mut Reader<'_>) -> Result<Work, Failure> {
    let stream = frame.text()?;
    let options = AppendOptions { expected: convert::expected(frame)?, timeout: frame.optional_duration("timeout")? };
    let events = frame.list(convert::event)?;
    let write = |frame: &mut Writer, done: streamkeep::AppendResult| {
        frame.number(done.version);
        frame.number(done.position);
        frame.flag(done.repeated);
    };
    Ok(async move { answer(write, store.append(stream, events, options).await?) }.boxed())
}

fn import_events(store: EventStore, frame: &mut Reader<'_>) -> Result<Work, Failure> {
    let store = timed(store, frame)?;
    let events = frame.list(convert::import_event)?;
    let write = |frame: &mut Writer, done: streamkeep::ImportResult| {
        frame.number(done.imported);
        frame.number(done.passed_over);
        frame.number(done.position);
    };
    Ok(async move { answer(write, store.import_events(events).await?) }.boxed())
}

fn read_page(store: EventStore, frame: &mut Reader<'_>) -> Result<Work, Failure> {
    let options = convert::read_page_options(frame)?;
    let write = |frame: &mut Writer, page: streamkeep::Page| {
        convert::write_events(frame, &page.events);
        frame.number(page.reached);
        frame.flag(page.caught_up);
    };
    Ok(async move { answer(write, store.read_page(options).await?) }.boxed())
}

fn save_snapshot(store: EventStore, frame: &mut Reader<'_>) -> Result<Work, Failure> {
    let store = timed(store, frame)?;
    let snapshot = convert::snapshot(frame)?;
    Ok(async move { answer(|_, ()| (), store.save_snapshot(snapshot).await?) }.boxed())
}

fn load_snapshot(store: EventStore, frame: &mut Reader<'_>) -> Result<Work, Failure> {
    let store = timed(store, frame)?;
    let (stream, schema, at_or_before) = (frame.text()?, frame.text()?, frame.optional_number("at_or_before")?);
    let write =
        |frame: &mut Writer, found: Option<streamkeep::Snapshot>| convert::write_snapshot(frame, found.as_ref());
    Ok(async move { answer(write, store.load_snapshot(stream, schema, at_or_before).await?) }.boxed())
}

/// A read or a subscription that the JVM pulls.
#[derive(Clone, Debug)]
struct Reading {
    source: Arc<tokio::sync::Mutex<Source>>,
    stopper: Option<Stopper>,
}

#[derive(Debug)]
enum Source {
    Pages { store: EventStore, events: Events, ahead: Option<Result<Option<Vec<RecordedEvent>>, Error>> },
    Subscription(Subscription),
}

impl Reading {
    fn pages(store: EventStore, events: Events) -> Self {
        Self { source: Arc::new(tokio::sync::Mutex::new(Source::Pages { store, events, ahead: None })), stopper: None }
    }

    fn subscription(subscription: Subscription) -> Self {
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
