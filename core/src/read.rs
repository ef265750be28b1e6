//! Pages of a stream and of the log, and the reads that pull them.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::event::RecordedEvent;
use crate::faults::{planted, point};
use crate::handle::Handle;
use crate::limits::{PAGE_BYTES, PAGE_EVENTS};
use crate::options::{ReadAllOptions, ReadOptions};
use crate::position::Direction;
use crate::pull::{self, Fetched, Pull};
use crate::query::Query;
use crate::request::{LogPage, LogPageRequest, StreamPage, StreamPageRequest};
use crate::stream::check_stream;

/// One page of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The events that match, in the order of positions.
    pub events: Vec<RecordedEvent>,
    /// How far the page looked: the position of the last event it looked at, whether it matched or not, or `after`. It
    /// is the `after` of the next page.
    pub reached: u64,
    /// Whether nothing more was there to read.
    pub caught_up: bool,
}

impl Handle {
    pub(crate) async fn read_stream(self: &Arc<Self>, request: StreamPageRequest) -> Result<StreamPage> {
        let page = self.run(request.deadline, move |namespace| {
            let request = request.clone();
            async move { namespace.events.read_stream(&request).await }
        });
        page.await
    }

    pub(crate) async fn read_log(self: &Arc<Self>, request: LogPageRequest) -> Result<LogPage> {
        let page = self.run(request.deadline, move |namespace| {
            let request = request.clone();
            async move {
                point("log-page").await;
                namespace.events.read_log(&request).await?.checked(&request)
            }
        });
        page.await
    }

    async fn stream_version(self: &Arc<Self>, stream: String, deadline: Instant) -> Result<u64> {
        let version = self.run(deadline, move |namespace| {
            let stream = stream.clone();
            async move { namespace.events.stream_version(&stream, deadline).await }
        });
        version.await
    }

    pub(crate) async fn head(self: &Arc<Self>, deadline: Instant) -> Result<u64> {
        self.run(deadline, move |namespace| async move { namespace.events.head(deadline).await }).await
    }
}

/// The events of a read, in its direction: a [`Stream`], or whole pages with [`Events::next_page`].
///
/// It ends at what was there when its first page was read, so a loop can append to what it reads. Dropping it stops the
/// reading at once; between pages it holds no connection, cursor or lock. After an error it ends.
#[derive(Debug)]
#[must_use = "events are read when they are asked for"]
pub struct Events(Pull<Source>);

#[derive(Clone)]
struct Source {
    of: Of,
    direction: Direction,
    left: u64,
    timeout: Option<std::time::Duration>,
    /// Whether the end of the read is known: what was there when its first page was read.
    bounded: bool,
}

#[derive(Clone)]
enum Of {
    Stream { name: String, from_version: u64, to_version: u64 },
    Log { after: u64, before: Option<u64>, query: Arc<Query> },
}

impl Events {
    pub(crate) fn of_stream(handle: Arc<Handle>, name: String, options: &ReadOptions) -> Self {
        let checked = check_stream(&name).and_then(|()| check_limit(options.limit)).and_then(|left| {
            if options.from_version == 0 {
                return Err(Error::invalid_argument("from_version", "versions begin with 1"));
            }
            let of = Of::Stream { name, from_version: options.from_version, to_version: options.to_version };
            Ok(Source { of, direction: options.direction, left, timeout: options.timeout, bounded: false })
        });
        Self(Pull::new(handle, "read", checked))
    }

    pub(crate) fn of_log(handle: Arc<Handle>, options: ReadAllOptions) -> Self {
        let checked = options.query.check().and_then(|()| check_limit(options.limit)).map(|left| Source {
            of: Of::Log { after: options.after, before: options.before, query: Arc::new(options.query) },
            direction: options.direction,
            left,
            timeout: options.timeout,
            bounded: false,
        });
        Self(Pull::new(handle, "read_all", checked))
    }

    /// Gives the error with which the first pull would refuse the arguments of the read, so that a caller can have it
    /// at the call. After the first pull it gives none.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
    /// use streamkeep::EventStore;
    /// let store = EventStore::open("memory:").await?;
    /// let refusal = store.read("order-42", 0..).refusal();
    /// assert_eq!(refusal.map(|error| (error.code(), error.operation())), Some(("invalid-argument", Some("read"))));
    /// assert!(store.read("order-42", 1..).refusal().is_none());
    /// # store.close().await }
    /// ```
    #[must_use]
    pub fn refusal(&self) -> Option<Error> {
        self.0.refusal()
    }

    /// Gives the next page: at most 1,000 events and 4 MiB, or one event; `None` at the end. Use it to handle events in
    /// batches.
    ///
    /// # Errors
    /// As the read that made it. The future can be dropped and called again without losing events.
    pub async fn next_page(&mut self) -> Result<Option<Vec<RecordedEvent>>> {
        poll_fn(|context| self.0.poll_buffer(context)).await?;
        let page = self.0.take();
        Ok((!page.is_empty()).then(|| page.into()))
    }
}

impl Stream for Events {
    type Item = Result<RecordedEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_item(context)
    }
}

impl pull::Source for Source {
    type Item = RecordedEvent;

    async fn fetch(self: Box<Self>, handle: Arc<Handle>) -> Result<Fetched<Self>> {
        let mut next = Some(self);
        while let Some(source) = next {
            let fetched = source.page(&handle).await?;
            if !fetched.items.is_empty() {
                return Ok(fetched);
            }
            next = fetched.next;
        }
        Ok(Fetched { items: Vec::new(), next: None })
    }
}

impl Source {
    async fn page(mut self: Box<Self>, handle: &Arc<Handle>) -> Result<Fetched<Self>> {
        let max_events = usize::try_from(self.left).map_or(PAGE_EVENTS, |left| left.min(PAGE_EVENTS));
        let (direction, deadline) = (self.direction, handle.deadline(self.timeout));
        let (events, end) = match &mut self.of {
            Of::Stream { name, from_version, to_version } => {
                let (stream, max_bytes) = (name.clone(), PAGE_BYTES);
                let bounds = (*from_version, *to_version);
                let request = StreamPageRequest {
                    stream,
                    from_version: bounds.0,
                    to_version: bounds.1,
                    direction,
                    max_events,
                    max_bytes,
                    deadline,
                };
                let page = handle.read_stream(request).await?;
                match (direction, page.events.last()) {
                    (Direction::Forward, Some(last)) => *from_version = last.version + 1,
                    (Direction::Backward, Some(last)) => *to_version = last.version - 1,
                    (_, None) => {}
                }
                let end = page.end || page.events.is_empty() || *from_version > *to_version;
                (page.events, end)
            }
            Of::Log { after, before, query } => {
                let (query, max_bytes) = (Arc::clone(query), PAGE_BYTES);
                let request = LogPageRequest {
                    after: *after,
                    before: *before,
                    query,
                    direction,
                    max_events,
                    max_bytes,
                    deadline,
                };
                let page = handle.read_log(request).await?;
                match direction {
                    Direction::Forward => *after = page.reached + u64::from(planted("reader-skips-page-end")),
                    Direction::Backward => *before = Some(page.reached),
                }
                (page.events, page.caught_up)
            }
        };
        self.left = self.left.saturating_sub(events.len() as u64);
        let more = !end && self.left > 0 && (self.bounded || self.bound(handle, deadline).await?);
        Ok(Fetched { items: events, next: more.then_some(self) })
    }

    /// Bounds the read by what is there now, so that a loop that appends while it reads ends. Returns whether anything
    /// is left to read.
    ///
    /// Runs after the first page, before the caller gets it. A backward read begins at the end and needs no bound.
    async fn bound(&mut self, handle: &Arc<Handle>, deadline: Instant) -> Result<bool> {
        self.bounded = true;
        if self.direction == Direction::Backward {
            return Ok(true);
        }
        match &mut self.of {
            Of::Stream { name, from_version, to_version } => {
                let version = handle.stream_version(name.clone(), deadline).await?;
                *to_version = version.min(*to_version);
                Ok(*to_version >= *from_version)
            }
            Of::Log { after, before, .. } => {
                let head = handle.head(deadline).await?;
                *before = Some(before.unwrap_or(u64::MAX).min(head.saturating_add(1)));
                Ok(head > *after)
            }
        }
    }
}

fn check_limit(limit: Option<u64>) -> Result<u64> {
    match limit {
        Some(0) => Err(Error::invalid_argument("limit", "limit must not be 0")),
        limit => Ok(limit.unwrap_or(u64::MAX)),
    }
}
