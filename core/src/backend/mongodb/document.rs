//! Converts events and payloads to documents and back.
//!
//! A JSON payload is stored as a BSON value under `data`, so that it can be queried. If the value would not give the
//! text back byte for byte, the text is stored under `data_json` too. If the text has no BSON value, or both together
//! would be too large, only the text is stored. Bytes are stored under `data_bytes`. Metadata is stored like JSON data.

use mongodb::bson::raw::{CStr, cstr};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::Failure;
use super::json::{to_bson, to_text};
use crate::decision::KnownEvent;
use crate::event::{Event, Payload, RecordedEvent};

/// The largest size of a payload's value and text together. The rest of the server's limit is for the other fields. If
/// they are larger, only the text is stored.
const MAX_PAYLOAD_BYTES: usize = 15 * 1024 * 1024;
const MICROS_PER_MILLI: i64 = 1_000;

/// Where and when an event is recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) stream: &'a str,
    pub(super) version: u64,
    pub(super) position: u64,
    /// Microseconds since 1970.
    pub(super) recorded_at: i64,
}

/// The document of an event.
pub(super) fn of_event(event: &Event, place: &Place<'_>) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), uuid(event.id));
    document.append(cstr!("position"), int64(place.position));
    document.append(cstr!("stream"), place.stream);
    document.append(cstr!("version"), int64(place.version));
    document.append(cstr!("type"), event.event_type.as_str());
    if let Some(schema) = &event.schema {
        document.append(cstr!("schema"), schema.as_str());
    }
    if !event.tags.is_empty() {
        let mut tags = RawArrayBuf::new();
        event.tags.iter().for_each(|tag| tags.push(tag.as_str()));
        document.append(cstr!("tags"), tags);
    }
    document.append(cstr!("recorded_at"), DateTime::from_millis(place.recorded_at.div_euclid(MICROS_PER_MILLI)));
    if place.recorded_at.rem_euclid(MICROS_PER_MILLI) != 0 {
        document.append(cstr!("recorded_at_micros"), place.recorded_at);
    }
    append_payload(&mut document, &event.data);
    if event.metadata != "{}" {
        append_json(&mut document, &event.metadata, cstr!("metadata"), cstr!("metadata_json"));
    }
    document
}

/// The document of a stream's head.
pub(super) fn of_head(stream: &str, version: u64) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), stream);
    document.append(cstr!("version"), int64(version));
    document
}

/// Adds a payload under `data`, `data_json` and `data_bytes`.
pub(super) fn append_payload(document: &mut RawDocumentBuf, payload: &Payload) {
    match payload {
        Payload::Json(text) => append_json(document, text, cstr!("data"), cstr!("data_json")),
        Payload::Bytes(bytes) => {
            document.append(cstr!("data_bytes"), Binary { subtype: BinarySubtype::Generic, bytes: bytes.clone() })
        }
    }
}

fn append_json(document: &mut RawDocumentBuf, text: &str, value_key: &CStr, text_key: &CStr) {
    let value = to_bson(text);
    let exact =
        value.as_ref().is_some_and(|value| to_text(value.as_raw_bson_ref()).is_some_and(|written| written == text));
    let beside = if exact { 0 } else { text.len() };
    let value = value.filter(|value| size(value) + beside <= MAX_PAYLOAD_BYTES);
    let exact = exact && value.is_some();
    if let Some(value) = value {
        document.append(value_key, value);
    }
    if !exact {
        document.append(text_key, text);
    }
}

/// The approximate size of a value.
fn size(value: &RawBson) -> usize {
    match value {
        RawBson::Document(document) => document.as_bytes().len(),
        RawBson::Array(array) => array.as_bytes().len(),
        RawBson::String(text) => text.len(),
        _ => size_of::<u128>(),
    }
}

/// Whether the event was removed. Only its place and id are left then.
pub(super) fn is_shell(document: &RawDocument) -> Result<bool, Failure> {
    Ok(value(document, "type")?.is_none())
}

/// Reads an event that has a known id. A removed event has no content, which counts as equal to any content.
pub(super) fn known(document: &RawDocument) -> Result<(Uuid, KnownEvent), Failure> {
    let content = if is_shell(document)? { None } else { Some(Box::new(event(document)?)) };
    let known = KnownEvent {
        stream: string(document, "stream")?,
        version: number(document, "version")?,
        position: number(document, "position")?,
        content,
    };
    Ok((id(document, "_id")?, known))
}

/// Reads an event.
pub(super) fn event(document: &RawDocument) -> Result<RecordedEvent, Failure> {
    Ok(RecordedEvent {
        stream: string(document, "stream")?,
        version: number(document, "version")?,
        position: number(document, "position")?,
        id: id(document, "_id")?,
        event_type: string(document, "type")?,
        data: payload(document)?,
        metadata: json(document, "metadata", "metadata_json")?.unwrap_or_else(|| "{}".to_owned()),
        tags: tags(document)?,
        schema: value(document, "schema")?.and_then(|value| value.as_str()).map(str::to_owned),
        recorded_at: recorded_at(document)?,
    })
}

/// Reads a payload: bytes first, then text, then the value.
pub(super) fn payload(document: &RawDocument) -> Result<Payload, Failure> {
    if let Some(RawBsonRef::Binary(binary)) = value(document, "data_bytes")? {
        return Ok(Payload::Bytes(binary.bytes.to_vec()));
    }
    json(document, "data", "data_json")?.map(Payload::Json).ok_or_else(|| unreadable("data"))
}

fn json(document: &RawDocument, value_key: &str, text_key: &str) -> Result<Option<String>, Failure> {
    if let Some(RawBsonRef::String(text)) = value(document, text_key)? {
        return Ok(Some(text.to_owned()));
    }
    match value(document, value_key)? {
        Some(found) => to_text(found).map(Some).ok_or_else(|| unreadable(value_key)),
        None => Ok(None),
    }
}

pub(super) fn tags(document: &RawDocument) -> Result<Vec<String>, Failure> {
    let Some(RawBsonRef::Array(tags)) = value(document, "tags")? else { return Ok(Vec::new()) };
    tags.into_iter()
        .map(|tag| tag.ok().and_then(|tag| tag.as_str()).map(str::to_owned).ok_or_else(|| unreadable("tags")))
        .collect()
}

fn recorded_at(document: &RawDocument) -> Result<OffsetDateTime, Failure> {
    let micros = match value(document, "recorded_at_micros")? {
        Some(RawBsonRef::Int64(micros)) => micros,
        _ => time(document, "recorded_at")?,
    };
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).map_err(|_| unreadable("recorded_at"))
}

/// A time, in microseconds since 1970.
pub(super) fn time(document: &RawDocument, key: &str) -> Result<i64, Failure> {
    let time = value(document, key)?.and_then(|value| value.as_datetime());
    time.and_then(|time| time.timestamp_millis().checked_mul(MICROS_PER_MILLI)).ok_or_else(|| unreadable(key))
}

/// Converts a time to microseconds since 1970.
pub(super) fn micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000)).unwrap_or(i64::MAX)
}

pub(super) fn string(document: &RawDocument, key: &str) -> Result<String, Failure> {
    value(document, key)?.and_then(|value| value.as_str()).map(str::to_owned).ok_or_else(|| unreadable(key))
}

pub(super) fn id(document: &RawDocument, key: &str) -> Result<Uuid, Failure> {
    match value(document, key)? {
        Some(RawBsonRef::Binary(binary)) => Uuid::from_slice(binary.bytes).map_err(|_| unreadable(key)),
        _ => Err(unreadable(key)),
    }
}

/// Reads a version or position. A restore through another program's driver may have made it an int32.
pub(super) fn number(document: &RawDocument, key: &str) -> Result<u64, Failure> {
    match value(document, key)? {
        Some(RawBsonRef::Int64(number)) => u64::try_from(number).map_err(|_| unreadable(key)),
        Some(RawBsonRef::Int32(number)) => u64::try_from(number).map_err(|_| unreadable(key)),
        _ => Err(unreadable(key)),
    }
}

pub(super) fn value<'a>(document: &'a RawDocument, key: &str) -> Result<Option<RawBsonRef<'a>>, Failure> {
    document.get(key).map_err(|_| unreadable(key))
}

pub(super) fn unreadable(key: &str) -> Failure {
    Failure::Unreadable(format!("field '{key}' of a document"))
}

/// An id as a BSON value.
pub(super) fn uuid(id: Uuid) -> Binary {
    Binary { subtype: BinarySubtype::Uuid, bytes: id.as_bytes().to_vec() }
}

/// A version or position as a BSON value. A number that does not fit is above everything that is stored, and so is the
/// largest one that does.
pub(super) fn int64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
