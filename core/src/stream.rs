//! The rules for names of streams, namespaces, types, tags and schemas.

use crate::error::{Error, Result};
use crate::limits::MAX_NAME_BYTES;

/// The category of a stream: its name before the first `-`. A name without `-`, or that begins with it, is its own
/// category.
///
/// ```
/// assert_eq!(streamkeep::category("order-42"), "order");
/// assert_eq!(streamkeep::category("audit"), "audit");
/// assert_eq!(streamkeep::category("-42"), "-42");
/// ```
#[must_use]
pub fn category(stream: &str) -> &str {
    match stream.split_once('-') {
        Some(("", _)) | None => stream,
        Some((category, _)) => category,
    }
}

/// Checks a stream's name: 1 to 255 bytes, no control characters.
pub(crate) fn check_stream(name: &str) -> Result<()> {
    check_name("stream", name)
}

/// Checks a text that names something: 1 to 255 bytes of UTF-8 without control characters.
pub(crate) fn check_name(argument: &'static str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid_argument(argument, format!("{argument} must not be empty")));
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(Error::limit_exceeded(argument, MAX_NAME_BYTES as u64, text.len() as u64));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid_argument(argument, format!("{argument} must not contain control characters")));
    }
    Ok(())
}

/// Checks a namespace's name: `[a-z][a-z0-9_]{0,39}`.
///
/// The rule is narrow because this name becomes part of identifiers in the database.
pub(crate) fn check_namespace(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let good = name.len() <= 40
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if good { Ok(()) } else { Err(Error::invalid_argument("namespace", "a namespace is named [a-z][a-z0-9_]{0,39}")) }
}
