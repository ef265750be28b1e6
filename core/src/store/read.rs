//! Reading streams and the log.

use std::sync::Arc;

use super::EventStore;
use crate::error::{Error, Result};
use crate::event::RecordedEvent;
use crate::limits::{PAGE_BYTES, PAGE_EVENTS};
use crate::options::{ReadAllOptions, ReadOptions, ReadPageOptions};
use crate::position::Direction;
use crate::read::{Events, Page};
use crate::request::{LogPageRequest, StreamPageRequest};
use crate::stream::check_stream;

impl EventStore {
    /// Reads the events of a stream, in the order of versions. An absent stream has none.
    ///
    /// It reads page by page with bounded memory. A reader that stops half way leaves nothing behind. An acknowledged
    /// append is seen at once. The read ends at what was there when its first page was read: events that the loop
    /// appends to the stream are not part of it.
    ///
    /// # Errors
    /// From the iterator: `invalid-argument` for a name that is not allowed, a `from_version` of 0 or a limit of 0;
    /// `unavailable` if a page does not arrive before its deadline; `closed`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
    /// use futures::TryStreamExt;
    /// use streamkeep::{Event, EventStore, ExpectedVersion};
    /// let store = EventStore::open("memory:").await?;
    /// store.append("order-42", [Event::json_text("OrderPlaced", "{}")], ExpectedVersion::Any).await?;
    /// let mut events = store.read("order-42", 1..);
    /// while let Some(event) = events.try_next().await? {
    ///     assert_eq!((event.version, event.event_type.as_str()), (1, "OrderPlaced"));
    /// }
    /// # store.close().await }
    /// ```
    pub fn read(&self, stream: impl Into<String>, options: impl Into<ReadOptions>) -> Events {
        let mut options = options.into();
        options.timeout.get_or_insert(self.timeout);
        Events::of_stream(Arc::clone(&self.handle), stream.into(), &options)
    }

    /// Reads the events of the log that match a query, in the order of positions.
    ///
    /// Both bounds are exclusive, and a limit counts events that match. After an event was seen, no event with a
    /// smaller position ever appears. Events that are not safe to read yet, because a writer with a smaller position is
    /// still running, are not part of it. The read ends at what was there when its first page was read;
    /// [`EventStore::subscribe`] goes on.
    ///
    /// # Errors
    /// From the iterator, as [`EventStore::read`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
    /// use futures::TryStreamExt;
    /// use streamkeep::{Event, EventStore, ExpectedVersion, QueryItem, ReadAllOptions};
    /// let store = EventStore::open("memory:").await?;
    /// store.append("order-42", [Event::json_text("OrderPlaced", "{}")], ExpectedVersion::Any).await?;
    /// let orders = QueryItem { categories: vec!["order".into()], ..QueryItem::default() };
    /// let events: Vec<_> = store.read_all(ReadAllOptions { query: orders.into(), ..ReadAllOptions::default() }).try_collect().await?;
    /// assert_eq!(events.len(), 1);
    /// # store.close().await }
    /// ```
    pub fn read_all(&self, mut options: ReadAllOptions) -> Events {
        options.timeout.get_or_insert(self.timeout);
        Events::of_log(Arc::clone(&self.handle), options)
    }

    /// Reads one page of the log and says how far it looked.
    ///
    /// `reached` is the `after` of the next page.
    ///
    /// # Errors
    /// `invalid-argument` for a limit of 0; `limit-exceeded` for one above 1,000 or for a query that is too large;
    /// `unavailable` past the deadline; `closed`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
    /// use streamkeep::{EventStore, ReadPageOptions};
    /// let store = EventStore::open("memory:").await?;
    /// let page = store.read_page(ReadPageOptions::default()).await?;
    /// assert!(page.caught_up && page.reached == 0);
    /// # store.close().await }
    /// ```
    pub async fn read_page(&self, options: ReadPageOptions) -> Result<Page> {
        self.read_page_checked(options).await.map_err(|error| error.with_operation("read_page"))
    }

    async fn read_page_checked(&self, options: ReadPageOptions) -> Result<Page> {
        options.query.check()?;
        let max_events = match options.limit {
            None => PAGE_EVENTS,
            Some(0) => return Err(Error::invalid_argument("limit", "limit must not be 0")),
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| *limit <= PAGE_EVENTS)
                .ok_or_else(|| Error::limit_exceeded("limit", PAGE_EVENTS as u64, limit))?,
        };
        let request = LogPageRequest {
            after: options.after,
            before: None,
            query: Arc::new(options.query),
            direction: Direction::Forward,
            max_events,
            max_bytes: PAGE_BYTES,
            deadline: self.deadline(options.timeout),
        };
        let page = self.handle.read_log(request).await?;
        Ok(Page { events: page.events, reached: page.reached, caught_up: page.caught_up })
    }

    /// Gives the last event of a stream, or `None` if the stream is absent.
    ///
    /// An acknowledged append is seen at once.
    ///
    /// # Errors
    /// `invalid-argument` for a name that is not allowed; `unavailable` past the deadline; `closed`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> streamkeep::Result<()> {
    /// use streamkeep::{Event, EventStore, ExpectedVersion};
    /// let store = EventStore::open("memory:").await?;
    /// let events = ["OrderPlaced", "OrderPaid"].map(|event_type| Event::json_text(event_type, "{}"));
    /// store.append("order-42", events, ExpectedVersion::NoStream).await?;
    /// let last = store.last("order-42").await?;
    /// assert_eq!(last.map(|event| (event.version, event.event_type)), Some((2, "OrderPaid".to_owned())));
    /// assert!(store.last("order-43").await?.is_none());
    /// # store.close().await }
    /// ```
    pub async fn last(&self, stream: impl Into<String> + Send) -> Result<Option<RecordedEvent>> {
        self.last_checked(stream.into()).await.map_err(|error| error.with_operation("last"))
    }

    async fn last_checked(&self, stream: String) -> Result<Option<RecordedEvent>> {
        check_stream(&stream)?;
        let request = StreamPageRequest {
            stream,
            from_version: 1,
            to_version: u64::MAX,
            direction: Direction::Backward,
            max_events: 1,
            max_bytes: PAGE_BYTES,
            deadline: self.deadline(None),
        };
        Ok(self.handle.read_stream(request).await?.events.pop())
    }

    /// Gives the position of the last event that is safe to read, or 0 if there is none.
    ///
    /// Later events can appear above it, but never at or below it.
    ///
    /// # Errors
    /// `unavailable` past the deadline, `closed`.
    pub async fn head(&self) -> Result<u64> {
        let deadline = self.deadline(None);
        self.handle.head(deadline).await.map_err(|error| error.with_operation("head"))
    }
}
