//! Pages as a stream of events: the next page is asked for while this one is handled.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::task::JoinHandle;

use crate::backend::{LogPage, LogPageRequest, StreamPage, StreamPageRequest};
use crate::error::{Error, Result};
use crate::event::RecordedEvent;
use crate::faults::planted;
use crate::limits::{PAGE_BYTES, PAGE_EVENTS};
use crate::options::{ReadAllOptions, ReadOptions};
use crate::position::Direction;
use crate::query::Query;
use crate::store::Shared;
use crate::stream::check_stream;

impl Shared {
    pub(crate) async fn read_stream(self: &Arc<Self>, request: StreamPageRequest) -> Result<StreamPage> {
        let page = self.run(request.deadline, move |shared| {
            let request = request.clone();
            async move { shared.backend.events.read_stream(&request).await }
        });
        page.await
    }

    pub(crate) async fn read_log(self: &Arc<Self>, request: LogPageRequest) -> Result<LogPage> {
        let page = self.run(request.deadline, move |shared| {
            let request = request.clone();
            async move { shared.backend.events.read_log(&request).await }
        });
        page.await
    }
}

/// Events being read, in the order asked for: a [`Stream`], or whole pages by [`Events::next_page`].
///
/// Dropping it stops the reading; between pages it holds no connection, cursor or lock. After an error it ends.
#[must_use = "events are read when they are asked for"]
pub struct Events {
    shared: Arc<Shared>,
    buffer: VecDeque<RecordedEvent>,
    next: Next,
}

/// Where the page after the buffered one comes from.
enum Next {
    /// Nobody asked yet.
    From(Box<Source>),
    /// On its way.
    Coming(JoinHandle<Result<Fetched>>),
    /// Refused before anything was read.
    Refused(Error),
    Nothing,
}

struct Fetched {
    events: Vec<RecordedEvent>,
    next: Option<Box<Source>>,
}

#[derive(Clone)]
struct Source {
    of: Of,
    direction: Direction,
    left: u64,
    timeout: Option<std::time::Duration>,
}

#[derive(Clone)]
enum Of {
    Stream { name: String, from_version: u64, to_version: u64 },
    Log { after: u64, before: Option<u64>, query: Arc<Query> },
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl Events {
    pub(crate) fn of_stream(shared: Arc<Shared>, name: String, options: &ReadOptions) -> Self {
        let checked = check_stream(&name).and_then(|()| check_limit(options.limit)).and_then(|left| {
            if options.from_version == 0 {
                return Err(Error::invalid_argument("from_version", "versions begin with 1"));
            }
            let of = Of::Stream { name, from_version: options.from_version, to_version: options.to_version };
            Ok(Source { of, direction: options.direction, left, timeout: options.timeout })
        });
        Self::new(shared, checked)
    }

    pub(crate) fn of_log(shared: Arc<Shared>, options: ReadAllOptions) -> Self {
        let checked = options.query.check().and_then(|()| check_limit(options.limit)).map(|left| Source {
            of: Of::Log { after: options.after, before: options.before, query: Arc::new(options.query) },
            direction: options.direction,
            left,
            timeout: options.timeout,
        });
        Self::new(shared, checked)
    }

    fn new(shared: Arc<Shared>, source: Result<Source>) -> Self {
        let next = source.map_or_else(Next::Refused, |source| Next::From(Box::new(source)));
        Self { shared, buffer: VecDeque::new(), next }
    }

    /// The next page, at most 1,000 events and 4 MiB or one event; `None` at the end. For who hands events on in batches.
    ///
    /// # Errors
    /// As the read that made it. Can be dropped and asked again without losing anything.
    pub async fn next_page(&mut self) -> Result<Option<Vec<RecordedEvent>>> {
        poll_fn(|context| self.poll_page(context)).await?;
        Ok(if self.buffer.is_empty() { None } else { Some(std::mem::take(&mut self.buffer).into()) })
    }

    /// Sees to it that the buffer holds something, unless there is nothing more.
    fn poll_page(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        if let Err(closed) = self.shared.check_open() {
            let ended = matches!(self.next, Next::Nothing) && self.buffer.is_empty();
            self.buffer.clear();
            self.next = Next::Nothing;
            return Poll::Ready(if ended { Ok(()) } else { Err(closed) });
        }
        while self.buffer.is_empty() {
            match std::mem::replace(&mut self.next, Next::Nothing) {
                Next::Nothing => break,
                Next::Refused(error) => return Poll::Ready(Err(error)),
                Next::From(source) => self.next = self.ask(source),
                Next::Coming(mut page) => {
                    let fetched = match Pin::new(&mut page).poll(context) {
                        Poll::Ready(fetched) => fetched.unwrap_or_else(|panic| Err(Error::internal("a reader's task panicked").with_cause(panic))),
                        Poll::Pending => {
                            self.next = Next::Coming(page);
                            return Poll::Pending;
                        }
                    };
                    let fetched = fetched.map_err(|error| error.with_context("read"))?;
                    self.buffer = fetched.events.into();
                    if let Some(source) = fetched.next {
                        self.next = self.ask(source);
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn ask(&self, source: Box<Source>) -> Next {
        Next::Coming(self.shared.runtime.spawn(source.fetch(Arc::clone(&self.shared))))
    }
}

impl Stream for Events {
    type Item = Result<RecordedEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match ready!(self.poll_page(context)) {
            Ok(()) => Poll::Ready(self.buffer.pop_front().map(Ok)),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }
}

impl Source {
    /// Reads on until there are events to give or there is nothing more.
    async fn fetch(self: Box<Self>, shared: Arc<Shared>) -> Result<Fetched> {
        let mut next = Some(self);
        while let Some(source) = next {
            let fetched = source.page(&shared).await?;
            if !fetched.events.is_empty() {
                return Ok(fetched);
            }
            next = fetched.next;
        }
        Ok(Fetched { events: Vec::new(), next: None })
    }

    async fn page(mut self: Box<Self>, shared: &Arc<Shared>) -> Result<Fetched> {
        let max_events = usize::try_from(self.left).map_or(PAGE_EVENTS, |left| left.min(PAGE_EVENTS));
        let (direction, deadline) = (self.direction, shared.deadline(self.timeout));
        let (events, end) = match &mut self.of {
            Of::Stream { name, from_version, to_version } => {
                let (stream, max_bytes) = (name.clone(), PAGE_BYTES);
                let bounds = (*from_version, *to_version);
                let request = StreamPageRequest { stream, from_version: bounds.0, to_version: bounds.1, direction, max_events, max_bytes, deadline };
                let page = shared.read_stream(request).await?;
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
                let request = LogPageRequest { after: *after, before: *before, query, direction, max_events, max_bytes, deadline };
                let page = shared.read_log(request).await?;
                match direction {
                    Direction::Forward => *after = page.reached + u64::from(planted("reader-skips-page-end")),
                    Direction::Backward => *before = Some(page.reached),
                }
                (page.events, page.caught_up)
            }
        };
        self.left = self.left.saturating_sub(events.len() as u64);
        let next = (!end && self.left > 0).then_some(self);
        Ok(Fetched { events, next })
    }
}

fn check_limit(limit: Option<u64>) -> Result<u64> {
    match limit {
        Some(0) => Err(Error::invalid_argument("limit", "a limit of 0 reads nothing")),
        limit => Ok(limit.unwrap_or(u64::MAX)),
    }
}
