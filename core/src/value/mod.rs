//! The checks of values (contract §2), once for all backends and languages, and the equality of JSON values (rule 4).
//!
//! A text is only read: what is accepted is kept byte for byte. No error message shows any part of it, because payloads
//! can be personal data.

mod canonical;
mod decimal;
mod keys;
mod scan;
mod walk;

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::event::{Event, Payload};
use crate::limits::{MAX_DATA_BYTES, MAX_JSON_DEPTH, MAX_METADATA_BYTES, MAX_TAGS};
use crate::stream::check_name;
use scan::Fault;
#[cfg(feature = "mongodb")]
pub(crate) use scan::Piece;
#[cfg(feature = "mongodb")]
pub(crate) use walk::{Visitor, walk};

/// Converts bytes that are JSON text into a string.
///
/// It checks only the encoding. The value is checked when it is appended.
///
/// ```
/// assert_eq!(streamkeep::json_text(b"[1.0]".to_vec())?, "[1.0]");
/// assert_eq!(streamkeep::json_text(vec![0xff]).unwrap_err().code(), "invalid-argument");
/// # Ok::<(), streamkeep::Error>(())
/// ```
///
/// # Errors
/// `invalid-argument` (`data`) if they are not UTF-8.
pub fn json_text(bytes: Vec<u8>) -> Result<String> {
    // The cause is left out because it has the bytes.
    String::from_utf8(bytes).map_err(|cause| {
        let at = cause.utf8_error().valid_up_to();
        Error::invalid_argument("data", format!("data is not JSON: not UTF-8, at byte {at}"))
    })
}

/// Checks an event before it is appended. Types of the store (`$…`) are refused unless `own_types_allowed`.
///
/// # Errors
/// `invalid-argument` (`type`, `schema`, `tag`, `tags`, `data`, `metadata`); `limit-exceeded` (`type`, `schema`, `tag`,
/// `tags`, `data`, `metadata`, `json depth`).
pub(crate) fn check_event(event: &Event, own_types_allowed: bool) -> Result<()> {
    check_name("type", &event.event_type)?;
    if !own_types_allowed && event.event_type.starts_with('$') {
        return Err(Error::invalid_argument("type", "types that begin with '$' belong to the store"));
    }
    if let Some(schema) = &event.schema {
        check_name("schema", schema)?;
    }
    check_tags(&event.tags)?;
    check_payload(&event.data)?;
    check_metadata(&event.metadata)
}

/// Checks the data of an event or a snapshot: its length, and its value if it is JSON.
pub(crate) fn check_payload(data: &Payload) -> Result<()> {
    check_length("data", data.len(), MAX_DATA_BYTES)?;
    match data {
        Payload::Json(text) => check_json("data", text),
        Payload::Bytes(_) => Ok(()),
    }
}

/// Checks metadata: its length, and that it is a JSON object.
pub(crate) fn check_metadata(metadata: &str) -> Result<()> {
    check_length("metadata", metadata.len(), MAX_METADATA_BYTES)?;
    check_json_object("metadata", metadata)
}

fn check_length(what: &str, length: usize, limit: usize) -> Result<()> {
    if length > limit { Err(Error::limit_exceeded(what, limit as u64, length as u64)) } else { Ok(()) }
}

/// Tags are a set in the order given. The same tag twice is a mistake of the caller.
fn check_tags(tags: &[String]) -> Result<()> {
    check_length("tags", tags.len(), MAX_TAGS)?;
    for (index, tag) in tags.iter().enumerate() {
        check_name("tag", tag)?;
        if tags.iter().take(index).any(|earlier| earlier == tag) {
            return Err(Error::invalid_argument("tags", "a tag occurs twice"));
        }
    }
    Ok(())
}

/// Checks that `text` is one JSON value (RFC 8259), at most [`MAX_JSON_DEPTH`] levels deep (`[]` is 1), without
/// duplicate keys in an object (compared unescaped), without lone surrogates, and without U+0000 in a key. Numbers can
/// have any size.
///
/// # Errors
/// `invalid-argument` (`argument`); `limit-exceeded` (`json depth`).
pub(crate) fn check_json(argument: &'static str, text: &str) -> Result<()> {
    walk::walk(text, &mut keys::Keys::new()).map_err(|fault| match fault {
        Fault::Wrong { what, at } => {
            Error::invalid_argument(argument, format!("{argument} is not valid JSON: {what}, at byte {at}"))
        }
        Fault::TooDeep => Error::limit_exceeded("json depth", MAX_JSON_DEPTH as u64, deepest(text)),
    })
}

/// Checks like [`check_json`], and checks that the value is an object.
///
/// # Errors
/// `invalid-argument` (`argument`); `limit-exceeded` (`json depth`).
pub(crate) fn check_json_object(argument: &'static str, text: &str) -> Result<()> {
    check_json(argument, text)?;
    if text.trim_start().starts_with('{') {
        Ok(())
    } else {
        Err(Error::invalid_argument(argument, format!("{argument} must be a JSON object")))
    }
}

/// Whether two JSON texts are equal as values: members in any order, strings by their characters, numbers by their
/// exact decimal value. A text that [`check_json`] refuses is only equal to itself.
pub(crate) fn same_json(a: &str, b: &str) -> bool {
    a == b || matches!((canonical::canonical(a), canonical::canonical(b)), (Ok(a), Ok(b)) if a == b)
}

/// Whether two JSON numbers have the same exact decimal value.
#[cfg(feature = "mongodb")]
pub(crate) fn same_number(a: &str, b: &str) -> bool {
    let spelling = |number| {
        let mut spelling = Vec::new();
        decimal::write(number, &mut spelling);
        spelling
    };
    spelling(a) == spelling(b)
}

/// How deep the brackets of a text nest, for the error. The rest of the text need not be JSON.
fn deepest(text: &str) -> u64 {
    let (mut depth, mut deepest) = (0_u64, 0);
    let mut in_string = false;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => drop(bytes.next()),
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
