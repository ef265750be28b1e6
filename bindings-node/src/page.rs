//! Converts a page of events to few JavaScript values.
//!
//! A number in a typed array costs nothing, and a string costs one call. So the texts of an event are passed as one
//! string, and their lengths are among the numbers. There is one string for each event and not for the page, because a
//! slice keeps its whole string alive.

use napi::bindgen_prelude::{Float64Array, Uint8Array};
use napi_derive::napi;
use streamkeep::{Payload, RecordedEvent};

/// How many numbers an event has in [`PageOut::numbers`]; `decode` in `typescript/recorded.ts` has their order.
const NUMBERS: usize = 11;

/// A page to convert on JavaScript's thread.
pub(crate) struct Page {
    texts: Vec<String>,
    numbers: Vec<f64>,
    bytes: Vec<u8>,
    caught_up: bool,
    reached: u64,
}

#[napi(object, object_from_js = false)]
pub struct PageOut {
    pub texts: Vec<String>,
    pub numbers: Float64Array,
    pub bytes: Option<Uint8Array>,
    pub caught_up: bool,
    pub reached: f64,
}

#[napi(object, object_from_js = false)]
pub struct SnapshotOut {
    pub stream: String,
    pub version: f64,
    pub schema: String,
    pub text: Option<String>,
    pub bytes: Option<Uint8Array>,
}

impl Page {
    pub(crate) fn new(events: Vec<RecordedEvent>, caught_up: bool, reached: u64) -> Self {
        let mut page = Self {
            texts: Vec::with_capacity(events.len()),
            numbers: Vec::with_capacity(events.len() * NUMBERS),
            bytes: Vec::new(),
            caught_up,
            reached,
        };
        for event in &events {
            page.add(event);
        }
        page
    }

    fn add(&mut self, event: &RecordedEvent) {
        let mut texts = Texts::default();
        let schema = event.schema.as_deref().unwrap_or_default();
        // Tags have no control characters, so one can separate them.
        let lengths = [
            texts.add(&event.stream),
            texts.add(&event.event_type),
            texts.add(&event.metadata),
            texts.add(schema),
            texts.add(&event.tags.join("\n")),
        ];
        texts.add(event.id.as_hyphenated().encode_lower(&mut [0; 36]));
        let (kind, payload_bytes) = match &event.data {
            Payload::Json(text) => {
                texts.add(text);
                (0, 0)
            }
            Payload::Bytes(bytes) => {
                self.bytes.extend_from_slice(bytes);
                (1, bytes.len())
            }
        };
        let micros = event.recorded_at.unix_timestamp_nanos().div_euclid(1000);
        self.numbers.extend([
            exact(event.position),
            exact(event.version),
            micros.div_euclid(1000) as f64,
            micros.rem_euclid(1000) as f64,
            f64::from(kind),
            payload_bytes as f64,
        ]);
        self.numbers.extend(lengths.map(|length| length as f64));
        self.texts.push(texts.all);
    }
}

impl From<Page> for PageOut {
    fn from(page: Page) -> Self {
        let bytes = (!page.bytes.is_empty()).then(|| page.bytes.into());
        Self {
            texts: page.texts,
            numbers: page.numbers.into(),
            bytes,
            caught_up: page.caught_up,
            reached: exact(page.reached),
        }
    }
}

impl From<streamkeep::Snapshot> for SnapshotOut {
    fn from(snapshot: streamkeep::Snapshot) -> Self {
        let (text, bytes) = match snapshot.data {
            Payload::Json(text) => (Some(text), None),
            Payload::Bytes(bytes) => (None, Some(bytes.into())),
        };
        Self { stream: snapshot.stream, version: exact(snapshot.version), schema: snapshot.schema, text, bytes }
    }
}

impl From<streamkeep::Page> for Page {
    fn from(page: streamkeep::Page) -> Self {
        Self::new(page.events, page.caught_up, page.reached)
    }
}

/// One event, or none.
impl From<Option<RecordedEvent>> for Page {
    fn from(found: Option<RecordedEvent>) -> Self {
        Self::new(found.into_iter().collect(), true, 0)
    }
}

/// Joined texts. Their lengths are in UTF-16 units, as in JavaScript.
#[derive(Default)]
struct Texts {
    all: String,
}

impl Texts {
    fn add(&mut self, text: &str) -> usize {
        self.all.push_str(text);
        if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
    }
}

/// Core keeps versions and positions within 2^53 − 1, which a JavaScript number holds exactly.
pub(crate) fn exact(number: u64) -> f64 {
    number as f64
}
