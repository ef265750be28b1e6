//! Values out: a page of events as few values of JavaScript.
//!
//! A number costs nothing in a typed array, and a text one call; so an event's texts cross as one string, with their
//! lengths among the numbers. One string an event, not one a page: what the face cuts from a string keeps the whole of
//! it alive, and who keeps an event must not keep a page.

use napi::bindgen_prelude::{Float64Array, Uint8Array};
use napi_derive::napi;
use streamkeep::{Payload, RecordedEvent};

/// Numbers an event has in [`PageOut::numbers`]; `decode` in `typescript/recorded.ts` knows their order.
const NUMBERS: usize = 10;

/// A page on its way to JavaScript's thread.
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
        // Tags have no control characters, so one can stand between them.
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
            micros as f64,
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

/// Texts one after the other; lengths count as JavaScript does, in units of UTF-16.
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
