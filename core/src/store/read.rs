//! Reading streams and the log.

use std::sync::Arc;

use super::EventStore;
use crate::backend::LogPageRequest;
use crate::error::{Error, Result};
use crate::event::RecordedEvent;
use crate::limits::{PAGE_BYTES, PAGE_EVENTS};
use crate::options::{ReadAllOptions, ReadOptions, ReadPageOptions};
use crate::position::Direction;
use crate::read::Events;

/// One page of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The events that match, in position order.
    pub events: Vec<RecordedEvent>,
    /// How far the page got: the `after` of the next page. The last committed event at or below it, matching or not; never below `after`.
    pub reached: u64,
    /// Nothing more was there to read.
    pub caught_up: bool,
}

impl EventStore {
    /// Reads a stream's events, in version order; an absent stream reads as nothing.
    ///
    /// Reading is page by page with bounded memory; a reader that stops half way holds nothing. Writes of this process are seen at once.
    ///
    /// # Errors
    /// From the iterator: `invalid-argument` for a wrong name, a lower bound of 0 or a limit of 0, `unavailable` when a page missed its deadline,
    /// `closed`.
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
        Events::of_stream(Arc::clone(&self.shared), stream.into(), &options.into())
    }

    /// Reads the log's events that match a query, in position order.
    ///
    /// Both bounds are exclusive; a limit counts matches. Once an event was seen, no event with a smaller position ever
    /// appears. Events of writers still under way are not there yet.
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
    pub fn read_all(&self, options: ReadAllOptions) -> Events {
        Events::of_log(Arc::clone(&self.shared), options)
    }

    /// Reads one page of the log and says how far it got.
    ///
    /// `reached` is the cursor for the next page, and what an append condition may rest on.
    ///
    /// # Errors
    /// `invalid-argument` for a limit of 0, `limit-exceeded` for one above 1,000 or too many query items, `unavailable` past the deadline, `closed`.
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
        options.query.check()?;
        let max_events = match options.limit {
            None => PAGE_EVENTS,
            Some(0) => return Err(Error::invalid_argument("limit", "a limit of 0 reads nothing")),
            Some(limit) => {
                usize::try_from(limit).ok().filter(|limit| *limit <= PAGE_EVENTS).ok_or_else(|| Error::limit_exceeded("limit", PAGE_EVENTS as u64, limit))?
            }
        };
        let request = LogPageRequest {
            after: options.after,
            before: None,
            query: Arc::new(options.query),
            direction: Direction::Forward,
            max_events,
            max_bytes: PAGE_BYTES,
            deadline: self.shared.deadline(options.timeout),
        };
        let page = self.shared.read_log(request).await.map_err(|error| error.with_context("read_page"))?;
        Ok(Page { events: page.events, reached: page.reached, caught_up: page.caught_up })
    }

    /// The position of the last committed event that is safe to read; 0 when the log is empty.
    ///
    /// Events of writers still under way may appear above it, never at or below it.
    ///
    /// # Errors
    /// `unavailable` past the deadline, `closed`.
    pub async fn head(&self) -> Result<u64> {
        let deadline = self.shared.deadline(None);
        let head = self.shared.run(deadline, move |shared| async move { shared.backend.events.head(deadline).await });
        head.await.map_err(|error| error.with_context("head"))
    }
}
