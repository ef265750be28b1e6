//! Which events of a log are meant: the query and the one matcher.

use crate::error::{Error, Result};
use crate::event::RecordedEvent;
use crate::limits::MAX_QUERY_ITEMS;
use crate::stream::{category, check_name};

/// Everything, or up to 64 items joined by OR.
///
/// ```
/// use streamkeep::{Query, QueryItem};
/// let shipped = QueryItem { types: vec!["OrderShipped".into()], ..QueryItem::default() };
/// assert!(Query::default().is_everything());
/// assert!(!Query::from(shipped).is_everything());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The items; none means everything.
    pub items: Vec<QueryItem>,
}

/// One alternative of a query: all four lists must agree; an empty list does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryItem {
    /// The event's type is one of these.
    pub types: Vec<String>,
    /// The event carries all of these.
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

    /// Whether an event is meant.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        self.items.is_empty() || self.items.iter().any(|item| item.matches(&event.stream, &event.event_type, &event.tags))
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.items.len() > MAX_QUERY_ITEMS {
            return Err(Error::limit_exceeded("query items", MAX_QUERY_ITEMS as u64, self.items.len() as u64));
        }
        for item in &self.items {
            for name in item.types.iter().chain(&item.tags).chain(&item.categories).chain(&item.streams) {
                check_name("query", name)?;
            }
        }
        Ok(())
    }
}

impl QueryItem {
    /// Whether the item restricts nothing.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.types.is_empty() && self.tags.is_empty() && self.categories.is_empty() && self.streams.is_empty()
    }

    /// Whether an event of this stream, type and tags is meant.
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

    /// Joins two queries by OR; everything stays everything.
    fn bitor(mut self, other: Self) -> Self {
        if self.items.is_empty() || other.items.is_empty() {
            return Self::default();
        }
        self.items.extend(other.items);
        self
    }
}
