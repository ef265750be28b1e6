//! Queries, and the one function that matches events with them.

use crate::error::{Error, Result};
use crate::event::RecordedEvent;
use crate::limits::{MAX_QUERY_ITEMS, MAX_QUERY_VALUES};
use crate::stream::{category, check_name};

/// Selects events: everything, or up to 64 items of which one must match, with up to 1,000 values in all their lists
/// together.
///
/// ```
/// use streamkeep::{Query, QueryItem};
/// let shipped = QueryItem { types: vec!["OrderShipped".into()], ..QueryItem::default() };
/// assert!(Query::default().is_everything());
/// assert!(!Query::from(shipped).is_everything());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The items. An empty list matches everything.
    pub items: Vec<QueryItem>,
}

/// One item of a query. An event must satisfy all four lists; an empty list restricts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryItem {
    /// The event's type is one of these.
    pub types: Vec<String>,
    /// The event has all of these.
    pub tags: Vec<String>,
    /// The stream's category is one of these.
    pub categories: Vec<String>,
    /// The stream is one of these.
    pub streams: Vec<String>,
}

impl Query {
    /// Whether the query restricts nothing.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.items.is_empty() || self.items.iter().any(QueryItem::is_everything)
    }

    /// Whether an event matches.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        self.items.is_empty()
            || self.items.iter().any(|item| item.matches(&event.stream, &event.event_type, &event.tags))
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.items.len() > MAX_QUERY_ITEMS {
            return Err(Error::limit_exceeded("query items", MAX_QUERY_ITEMS as u64, self.items.len() as u64));
        }
        let values = || self.items.iter().flat_map(QueryItem::values);
        let count = values().count();
        if count > MAX_QUERY_VALUES {
            return Err(Error::limit_exceeded("query values", MAX_QUERY_VALUES as u64, count as u64));
        }
        values().try_for_each(|name| check_name("query", name))
    }
}

impl QueryItem {
    /// Whether the item restricts nothing.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.types.is_empty() && self.tags.is_empty() && self.categories.is_empty() && self.streams.is_empty()
    }

    fn values(&self) -> impl Iterator<Item = &String> {
        self.types.iter().chain(&self.tags).chain(&self.categories).chain(&self.streams)
    }

    /// Whether an event of this stream and type and with these tags matches.
    #[must_use]
    pub fn matches(&self, stream: &str, event_type: &str, tags: &[String]) -> bool {
        (self.types.is_empty() || self.types.iter().any(|t| t == event_type))
            && self.tags.iter().all(|tag| tags.contains(tag))
            && (self.categories.is_empty() || self.categories.iter().any(|c| c == category(stream)))
            && (self.streams.is_empty() || self.streams.iter().any(|s| s == stream))
    }
}

impl From<QueryItem> for Query {
    fn from(item: QueryItem) -> Self {
        Self { items: vec![item] }
    }
}

impl std::ops::BitOr for Query {
    type Output = Self;

    /// Joins two queries: an event matches if it matches either. If one of them matches everything, so does the result.
    fn bitor(mut self, other: Self) -> Self {
        if self.items.is_empty() || other.items.is_empty() {
            return Self::default();
        }
        self.items.extend(other.items);
        self
    }
}
