//! The canonical form of a JSON value: two values are equal exactly if their canonical forms are equal.
//!
//! The form is not JSON and is never stored. Strings end in a byte that UTF-8 never has, members are sorted by key, and
//! numbers are digits without zeros at either end, with a power of ten.

use std::borrow::Cow;

use super::decimal;
use super::scan::{Fault, Piece};
use super::walk::{Visitor, walk};

/// Ends a string. UTF-8 never has this byte, so no content can look like the end.
const STRING_END: u8 = 0xFF;

/// The canonical form of the value in `text`, or why the text is not a value.
pub(super) fn canonical(text: &str) -> Result<Vec<u8>, Fault> {
    let mut canonical = Canonical { out: Vec::with_capacity(text.len()), open: Vec::new() };
    walk(text, &mut canonical)?;
    Ok(canonical.out)
}

struct Canonical {
    out: Vec<u8>,
    open: Vec<Members>,
}

/// Where the members of an open object are in the output.
struct Members {
    start: usize,
    ends: Vec<usize>,
}

impl<'a> Visitor<'a> for Canonical {
    fn object_begin(&mut self) {
        self.out.push(b'{');
        self.open.push(Members { start: self.out.len(), ends: Vec::new() });
    }

    fn key(&mut self, key: Cow<'a, str>) -> Result<(), &'static str> {
        self.string_begin();
        self.out.extend_from_slice(key.as_bytes());
        self.string_end();
        Ok(())
    }

    fn member_end(&mut self) {
        if let Some(members) = self.open.last_mut() {
            members.ends.push(self.out.len());
        }
    }

    fn object_end(&mut self) {
        if let Some(members) = self.open.pop() {
            sort_members(&mut self.out, &members);
        }
        self.out.push(b'}');
    }

    fn array_begin(&mut self) {
        self.out.push(b'[');
    }

    fn item_end(&mut self) {
        self.out.push(b',');
    }

    fn array_end(&mut self) {
        self.out.push(b']');
    }

    fn string_begin(&mut self) {
        self.out.push(b'"');
    }

    fn piece(&mut self, piece: Piece<'a>) {
        match piece {
            Piece::Run(run) => self.out.extend_from_slice(run.as_bytes()),
            Piece::Char(char) => self.out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    fn string_end(&mut self) {
        self.out.push(STRING_END);
    }

    fn number(&mut self, written: &'a str) {
        decimal::write(written, &mut self.out);
    }

    fn word(&mut self, word: &'static str) {
        self.out.extend_from_slice(word.as_bytes());
    }
}

/// Sorts the members at the end of `out`. Each begins with its key, so sorting them by bytes sorts them by key.
fn sort_members(out: &mut Vec<u8>, members: &Members) {
    let mut start = members.start;
    let mut sorted: Vec<&[u8]> = Vec::with_capacity(members.ends.len());
    for &end in &members.ends {
        sorted.push(out.get(start..end).unwrap_or_default());
        start = end;
    }
    if sorted.is_sorted() {
        return;
    }
    sorted.sort_unstable();
    let content = sorted.concat();
    out.truncate(members.start);
    out.extend_from_slice(&content);
}
