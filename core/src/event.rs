//! Events: to append, and as recorded.

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

    /// The payload's bytes, whichever kind it is.
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

/// Payloads may be personal: only kind and length are shown.
impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({} bytes)", if matches!(self, Self::Json(_)) { "Json" } else { "Bytes" }, self.len())
    }
}

/// One occurrence, to be appended.
///
/// Its `id` is made with it, so an append of the same `Event` can be repeated safely; make a new one for
/// each occurrence. Values are checked when the event is appended, before anything is written.
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
    /// What happened. Types that begin with `$` are the store's own and are refused.
    pub event_type: String,
    /// The content; `{}` unless given.
    pub data: Payload,
    /// A JSON object beside the content; `{}` unless given.
    pub metadata: String,
    /// A set of labels, in the order given.
    pub tags: Vec<String>,
    /// The occurrence's identity.
    pub id: Uuid,
    /// The shape of `data`, as its author names it.
    pub schema: Option<String>,
}

impl Event {
    /// Makes an event whose data is `value` as compact JSON.
    ///
    /// # Errors
    /// `invalid-argument` when `value` cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(event_type: impl Into<String>, value: &T) -> Result<Self> {
        let text = serde_json::to_string(value).map_err(|cause| Error::invalid_argument("data", format!("data cannot be written as JSON: {cause}")))?;
        Ok(Self::json_text(event_type, text))
    }

    /// Makes an event whose data is JSON text as it is, to be kept byte for byte.
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
        Self { event_type: event_type.into(), data, metadata: "{}".to_owned(), tags: Vec::new(), id: new_id(), schema: None }
    }

    /// Gives the event metadata: the text of a JSON object.
    #[must_use]
    pub fn with_metadata(mut self, json_object: impl Into<String>) -> Self {
        self.metadata = json_object.into();
        self
    }

    /// Gives the event tags.
    #[must_use]
    pub fn with_tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// Gives the event an id of one's own.
    #[must_use]
    pub const fn with_id(mut self, id: Uuid) -> Self {
        self.id = id;
        self
    }

    /// Names the shape of the event's data.
    #[must_use]
    pub fn with_schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// What the event counts against limits: payload, metadata and names.
    #[must_use]
    pub(crate) fn size_bytes(&self) -> usize {
        self.data.len()
            + self.metadata.len()
            + self.event_type.len()
            + self.tags.iter().map(String::len).sum::<usize>()
            + self.schema.as_ref().map_or(0, String::len)
    }
}

/// An event as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedEvent {
    /// The stream it belongs to.
    pub stream: String,
    /// Its place in the stream: the first is 1, without gaps.
    pub version: u64,
    /// Its place in the log; only grows, gaps mean nothing.
    pub position: u64,
    /// The occurrence's identity.
    pub id: Uuid,
    /// What happened.
    pub event_type: String,
    /// The content, byte for byte as it was accepted.
    pub data: Payload,
    /// A JSON object, byte for byte as it was accepted.
    pub metadata: String,
    /// Labels, in the order given.
    pub tags: Vec<String>,
    /// The shape of `data`, as its author named it.
    pub schema: Option<String>,
    /// When it was recorded, UTC, microseconds. Information only, never an order.
    pub recorded_at: OffsetDateTime,
}

impl RecordedEvent {
    /// `application/json` or `application/octet-stream`.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        self.data.content_type()
    }
}

/// An event recorded elsewhere, to be imported with its place, id and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportEvent {
    /// The stream it belongs to.
    pub stream: String,
    /// Its version there; the stream's next one unless given.
    pub version: Option<u64>,
    /// When it was recorded; now unless given. Kept to the microsecond.
    pub recorded_at: Option<OffsetDateTime>,
    /// The event; types of the store's own (`$…`) are taken too.
    pub event: Event,
}
