//! Events, before and after they are recorded.

use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::id::new_id;

/// Metadata key of the first message of a chain.
pub const CORRELATION_ID: &str = "correlationId";
/// Metadata key of the direct cause.
pub const CAUSATION_ID: &str = "causationId";
/// Metadata key of the author.
pub const CREATED_BY: &str = "createdBy";

/// The years in which an event can have been recorded.
const RECORDED_YEARS: std::ops::RangeInclusive<i32> = 1..=9999;
const NANOS_PER_MICRO: i128 = 1_000;

/// The content of an event or a snapshot: JSON text or bytes, kept byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub enum Payload {
    /// JSON text, checked once when it is appended and never rewritten.
    Json(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Payload {
    /// `application/json` or `application/octet-stream`.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        match self {
            Self::Json(_) => "application/json",
            Self::Bytes(_) => "application/octet-stream",
        }
    }

    /// The bytes of the payload, for JSON and for bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Json(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The JSON text, or `None` for bytes.
    #[must_use]
    pub fn as_json(&self) -> Option<&str> {
        match self {
            Self::Json(text) => Some(text),
            Self::Bytes(_) => None,
        }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether there are no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Payloads can be personal data, so only the kind and the length are shown.
impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({} bytes)", if matches!(self, Self::Json(_)) { "Json" } else { "Bytes" }, self.len())
    }
}

/// An event to append. It represents one occurrence.
///
/// It gets its `id` when it is made, so an append of the same `Event` can be repeated safely. Make a new one for each
/// occurrence. The values are checked when the event is appended, before anything is written.
///
/// ```
/// use streamkeep::Event;
/// let event = Event::json("OrderPlaced", &serde_json::json!({"total": 12.5}))?
///     .with_metadata(r#"{"createdBy":"amy"}"#)
///     .with_tags(["customer:7"]);
/// assert_eq!(event.event_type, "OrderPlaced");
/// # Ok::<(), streamkeep::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened. Types that begin with `$` belong to the store and are refused.
    pub event_type: String,
    /// The content. The default is `{}`.
    pub data: Payload,
    /// A JSON object beside the content. The default is `{}`.
    pub metadata: String,
    /// A set of labels, in the order given.
    pub tags: Vec<String>,
    /// The id of the occurrence.
    pub id: Uuid,
    /// The name of the shape of `data`, chosen by its author.
    pub schema: Option<String>,
}

impl Event {
    /// Makes an event whose data is `value` as compact JSON.
    ///
    /// # Errors
    /// `invalid-argument` when `value` cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(event_type: impl Into<String>, value: &T) -> Result<Self> {
        let text = serde_json::to_string(value)
            .map_err(|cause| Error::invalid_argument("data", format!("data cannot be written as JSON: {cause}")))?;
        Ok(Self::json_text(event_type, text))
    }

    /// Makes an event whose data is JSON text, which is kept byte for byte.
    #[must_use]
    pub fn json_text(event_type: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(event_type, Payload::Json(text.into()))
    }

    /// Makes an event whose data is bytes.
    #[must_use]
    pub fn bytes(event_type: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(event_type, Payload::Bytes(bytes.into()))
    }

    /// Makes an event of a type with a payload.
    #[must_use]
    pub fn new(event_type: impl Into<String>, data: Payload) -> Self {
        Self {
            event_type: event_type.into(),
            data,
            metadata: "{}".to_owned(),
            tags: Vec::new(),
            id: new_id(),
            schema: None,
        }
    }

    /// Sets the metadata: the text of a JSON object.
    #[must_use]
    pub fn with_metadata(mut self, json_object: impl Into<String>) -> Self {
        self.metadata = json_object.into();
        self
    }

    /// Sets the tags.
    #[must_use]
    pub fn with_tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the id.
    #[must_use]
    pub const fn with_id(mut self, id: Uuid) -> Self {
        self.id = id;
        self
    }

    /// Sets the name of the shape of the data.
    #[must_use]
    pub fn with_schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// The size of the event as limits count it: payload, metadata and names.
    #[must_use]
    pub(crate) fn size_bytes(&self) -> usize {
        self.data.len()
            + self.metadata.len()
            + self.event_type.len()
            + self.tags.iter().map(String::len).sum::<usize>()
            + self.schema.as_ref().map_or(0, String::len)
    }
}

/// A recorded event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedEvent {
    /// The stream it belongs to.
    pub stream: String,
    /// Its number in the stream: 1, 2, 3, and so on without gaps.
    pub version: u64,
    /// Its number in the log. Positions grow; gaps have no meaning.
    pub position: u64,
    /// The id of the occurrence.
    pub id: Uuid,
    /// What happened.
    pub event_type: String,
    /// The content, byte for byte as it was accepted.
    pub data: Payload,
    /// A JSON object, byte for byte as it was accepted.
    pub metadata: String,
    /// Labels, in the order given.
    pub tags: Vec<String>,
    /// The name of the shape of `data`, chosen by its author.
    pub schema: Option<String>,
    /// When it was recorded: UTC, with microseconds. It informs, and is never an order.
    pub recorded_at: OffsetDateTime,
}

impl RecordedEvent {
    /// `application/json` or `application/octet-stream`.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        self.data.content_type()
    }
}

/// An event that was recorded elsewhere, to import with its stream, version, id and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportEvent {
    /// The stream it belongs to.
    pub stream: String,
    /// Its version there. The default is the stream's next one.
    pub version: Option<u64>,
    /// When it was recorded: in the years 1 to 9999 UTC, rounded down to the microsecond. The default is now.
    pub recorded_at: Option<OffsetDateTime>,
    /// The event. Types of the store (`$…`) are accepted too.
    pub event: Event,
}

/// Converts a time of an import to UTC and rounds it down to the microsecond, as every backend stores it.
///
/// # Errors
/// `invalid-argument` outside the years 1 to 9999, beyond which some languages have no times.
pub(crate) fn recorded_time(time: OffsetDateTime) -> Result<OffsetDateTime> {
    let nanos = time.unix_timestamp_nanos();
    OffsetDateTime::from_unix_timestamp_nanos(nanos - nanos.rem_euclid(NANOS_PER_MICRO))
        .ok()
        .filter(|time| RECORDED_YEARS.contains(&time.year()))
        .ok_or_else(|| {
            Error::invalid_argument("recorded_at", "a time of an import must be in the years 1 to 9999, in UTC")
        })
}
