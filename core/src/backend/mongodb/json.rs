//! Converts JSON text to BSON values and back. It is written by hand so that no text is read as extended JSON, and no
//! number loses a digit.
//!
//! An integer becomes an int32 or int64 if it fits. Any other number becomes a double if the double has its exact
//! decimal value, else a decimal128 if that has it. If neither has, the whole text has no BSON value. In the other
//! direction every value has one compact spelling. If that differs from the original text, the caller stores the text
//! too.

use std::borrow::Cow;
use std::fmt::Write;

use mongodb::bson::spec::ElementType;
use mongodb::bson::{Decimal128, RawArray, RawBson, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::limits::MAX_JSON_DEPTH;
use crate::value::{Piece, Visitor, same_number, walk};

/// The key of the value in the document that is built around it.
const VALUE: &str = "v";

/// The BSON value of a JSON text; `None` if a number in it has no BSON value.
pub(super) fn to_bson(text: &str) -> Option<RawBson> {
    let mut writer = Writer {
        out: Vec::with_capacity(text.len() + text.len() / 4 + 32),
        open: Vec::new(),
        key: Cow::Borrowed(VALUE),
        whole: true,
    };
    writer.begin();
    walk(text, &mut writer).ok()?;
    writer.end();
    let document = if writer.whole { RawDocumentBuf::from_bytes(writer.out).ok()? } else { return None };
    document.get(VALUE).ok().flatten().map(RawBson::from)
}

/// Writes BSON while the text is read.
struct Writer<'a> {
    out: Vec<u8>,
    /// The documents and arrays that have not ended yet.
    open: Vec<Open>,
    /// The key of the next value, unless that is in an array.
    key: Cow<'a, str>,
    /// Whether every number so far has a BSON value.
    whole: bool,
}

struct Open {
    start: usize,
    /// In an array, the index of the next item.
    next: Option<u32>,
}

impl<'a> Writer<'a> {
    /// Begins a document. Its length is written when it ends.
    fn begin(&mut self) {
        self.open.push(Open { start: self.out.len(), next: None });
        self.out.extend_from_slice(&[0; 4]);
    }

    fn end(&mut self) {
        self.out.push(0);
        if let Some(open) = self.open.pop() {
            let length = self.out.len() - open.start;
            self.patch(open.start, length);
        }
    }

    /// Writes a length into the place reserved for it. Documents are far smaller than the largest int32.
    fn patch(&mut self, at: usize, length: usize) {
        let length = i32::try_from(length).unwrap_or(i32::MAX).to_le_bytes();
        if let Some(place) = self.out.get_mut(at..at + length.len()) {
            place.copy_from_slice(&length);
        }
    }

    /// Writes what comes before each value: its type and its key.
    fn element(&mut self, kind: ElementType) {
        self.out.push(kind as u8);
        match self.open.last_mut().and_then(|open| open.next.as_mut()) {
            Some(next) => {
                self.out.extend_from_slice(next.to_string().as_bytes());
                *next += 1;
            }
            None => self.out.extend_from_slice(self.key.as_bytes()),
        }
        self.out.push(0);
    }
}

impl<'a> Visitor<'a> for Writer<'a> {
    fn object_begin(&mut self) {
        self.element(ElementType::EmbeddedDocument);
        self.begin();
    }

    fn key(&mut self, key: Cow<'a, str>) -> Result<(), &'static str> {
        // Core refuses such a key earlier. In BSON a key ends at its first zero.
        if key.contains('\0') {
            return Err("U+0000 in a key");
        }
        self.key = key;
        Ok(())
    }

    fn object_end(&mut self) {
        self.end();
    }

    fn array_begin(&mut self) {
        self.element(ElementType::Array);
        self.begin();
        if let Some(open) = self.open.last_mut() {
            open.next = Some(0);
        }
    }

    fn array_end(&mut self) {
        self.end();
    }

    fn string_begin(&mut self) {
        self.element(ElementType::String);
        self.begin();
    }

    fn piece(&mut self, piece: Piece<'a>) {
        match piece {
            Piece::Run(run) => self.out.extend_from_slice(run.as_bytes()),
            Piece::Char(char) => self.out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    /// The length of a string counts its last zero, but not the length field.
    fn string_end(&mut self) {
        self.out.push(0);
        if let Some(open) = self.open.pop() {
            let length = self.out.len() - open.start - 4;
            self.patch(open.start, length);
        }
    }

    fn number(&mut self, written: &'a str) {
        match number(written) {
            Some(Number::Int32(value)) => {
                self.element(ElementType::Int32);
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Some(Number::Int64(value)) => {
                self.element(ElementType::Int64);
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Some(Number::Double(value)) => {
                self.element(ElementType::Double);
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Some(Number::Decimal(value)) => {
                self.element(ElementType::Decimal128);
                self.out.extend_from_slice(&value.bytes());
            }
            None => self.whole = false,
        }
    }

    fn word(&mut self, word: &'static str) {
        if word == "null" {
            return self.element(ElementType::Null);
        }
        self.element(ElementType::Boolean);
        self.out.push(u8::from(word == "true"));
    }
}

enum Number {
    Int32(i32),
    Int64(i64),
    Double(f64),
    Decimal(Decimal128),
}

fn number(written: &str) -> Option<Number> {
    // An integer has no negative zero.
    if let Some(integer) = written.parse::<i64>().ok().filter(|integer| *integer != 0 || !written.starts_with('-')) {
        return Some(i32::try_from(integer).map_or(Number::Int64(integer), Number::Int32));
    }
    let double: f64 = written.parse().ok()?;
    if double.is_finite() && same_number(written, &spelled(double)) {
        return Some(Number::Double(double));
    }
    let decimal: Decimal128 = written.parse().ok()?;
    same_number(written, &decimal.to_string()).then_some(Number::Decimal(decimal))
}

/// The spelling of a double: the shortest text that gives the same double.
fn spelled(double: f64) -> String {
    format!("{double:?}")
}

/// The JSON text of a BSON value; `None` for a value that no JSON text becomes.
pub(super) fn to_text(value: RawBsonRef<'_>) -> Option<String> {
    let mut out = String::new();
    write_value(value, 0, &mut out).then_some(out)
}

fn write_value(value: RawBsonRef<'_>, depth: usize, out: &mut String) -> bool {
    match value {
        RawBsonRef::Document(document) => write_object(document, depth + 1, out),
        RawBsonRef::Array(array) => write_array(array, depth + 1, out),
        RawBsonRef::String(text) => write_string(text, out),
        RawBsonRef::Int32(value) => write!(out, "{value}").is_ok(),
        RawBsonRef::Int64(value) => write!(out, "{value}").is_ok(),
        RawBsonRef::Double(value) => value.is_finite() && write!(out, "{value:?}").is_ok(),
        RawBsonRef::Decimal128(value) => {
            let text = value.to_string();
            out.push_str(&text);
            text.bytes().last().is_some_and(|last| last.is_ascii_digit())
        }
        RawBsonRef::Boolean(value) => write!(out, "{value}").is_ok(),
        RawBsonRef::Null => {
            out.push_str("null");
            true
        }
        _ => false,
    }
}

fn write_object(document: &RawDocument, depth: usize, out: &mut String) -> bool {
    out.push('{');
    let mut first = true;
    for element in document {
        let Some((key, value)) = element.ok().filter(|_| depth <= MAX_JSON_DEPTH) else { return false };
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        if !write_string(key.as_str(), out) {
            return false;
        }
        out.push(':');
        if !write_value(value, depth, out) {
            return false;
        }
    }
    out.push('}');
    depth <= MAX_JSON_DEPTH
}

fn write_array(array: &RawArray, depth: usize, out: &mut String) -> bool {
    out.push('[');
    let mut first = true;
    for item in array {
        let Some(value) = item.ok().filter(|_| depth <= MAX_JSON_DEPTH) else { return false };
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        if !write_value(value, depth, out) {
            return false;
        }
    }
    out.push(']');
    depth <= MAX_JSON_DEPTH
}

/// Escapes the characters that JSON requires to be escaped, with the short form if there is one.
fn write_string(text: &str, out: &mut String) -> bool {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let written = match from.as_bytes().first() {
            Some(b'"') => out.write_str("\\\""),
            Some(b'\\') => out.write_str("\\\\"),
            Some(b'\n') => out.write_str("\\n"),
            Some(b'\r') => out.write_str("\\r"),
            Some(b'\t') => out.write_str("\\t"),
            Some(0x08) => out.write_str("\\b"),
            Some(0x0c) => out.write_str("\\f"),
            Some(other) => write!(out, "\\u{other:04x}"),
            None => Ok(()),
        };
        if written.is_err() {
            return false;
        }
        rest = from.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
    true
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
