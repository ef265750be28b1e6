//! The grammar of JSON (RFC 8259). A visitor is told what the text has, in order.

use std::borrow::Cow;

use super::scan::{Fault, Piece, Scanner};
use crate::limits::MAX_JSON_DEPTH;

/// Receives what a text has. Each method is called when that part was read.
pub(crate) trait Visitor<'a> {
    fn object_begin(&mut self) {}
    /// A member's key, unescaped; its value follows. The visitor may refuse it.
    fn key(&mut self, _key: Cow<'a, str>) -> Result<(), &'static str> {
        Ok(())
    }
    fn member_end(&mut self) {}
    fn object_end(&mut self) {}
    fn array_begin(&mut self) {}
    fn item_end(&mut self) {}
    fn array_end(&mut self) {}
    fn string_begin(&mut self) {}
    /// The next part of the string's content.
    fn piece(&mut self, _piece: Piece<'a>) {}
    fn string_end(&mut self) {}
    /// A number as it is written.
    fn number(&mut self, _written: &'a str) {}
    /// `true`, `false` or `null`.
    fn word(&mut self, _word: &'static str) {}
}

/// Reads one JSON value, at most [`MAX_JSON_DEPTH`] levels deep, and refuses anything after it.
pub(crate) fn walk<'a>(text: &'a str, visitor: &mut impl Visitor<'a>) -> Result<(), Fault> {
    let mut walker = Walker { scanner: Scanner::new(text), visitor };
    walker.value(0)?;
    match walker.scanner.peek_token() {
        None => Ok(()),
        Some(_) => Err(walker.scanner.wrong("there is text after the value")),
    }
}

struct Walker<'a, 'v, V> {
    scanner: Scanner<'a>,
    visitor: &'v mut V,
}

impl<'a, V: Visitor<'a>> Walker<'a, '_, V> {
    /// Reads a value inside `depth` arrays and objects. The limit of the depth bounds its recursion.
    fn value(&mut self, depth: usize) -> Result<(), Fault> {
        match self.scanner.peek_token() {
            Some(b'"') => self.string(),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'-' | b'0'..=b'9') => {
                let written = self.scanner.number()?;
                self.visitor.number(written);
                Ok(())
            }
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(b'N' | b'I') => Err(self.scanner.wrong("expected a value (JSON has no NaN and no infinity)")),
            Some(_) => Err(self.scanner.wrong("expected a value")),
            None => Err(self.scanner.wrong("the text ends where a value is expected")),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        self.scanner.word(word)?;
        self.visitor.word(word);
        Ok(())
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.visitor.string_begin();
        let visitor = &mut *self.visitor;
        self.scanner.string(|piece| visitor.piece(piece))?;
        self.visitor.string_end();
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        self.enter(depth)?;
        self.visitor.array_begin();
        if self.scanner.peek_token() == Some(b']') {
            self.scanner.bump();
        } else {
            loop {
                self.value(depth)?;
                self.visitor.item_end();
                if self.ends(b']', "expected ',' or ']'")? {
                    break;
                }
            }
        }
        self.visitor.array_end();
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), Fault> {
        self.enter(depth)?;
        self.visitor.object_begin();
        if self.scanner.peek_token() == Some(b'}') {
            self.scanner.bump();
        } else {
            loop {
                self.member(depth)?;
                self.visitor.member_end();
                if self.ends(b'}', "expected ',' or '}'")? {
                    break;
                }
            }
        }
        self.visitor.object_end();
        Ok(())
    }

    fn member(&mut self, depth: usize) -> Result<(), Fault> {
        if self.scanner.peek_token() != Some(b'"') {
            return Err(self.scanner.wrong("expected a key in double quotes"));
        }
        let at = self.scanner.at();
        let mut key = Cow::Borrowed("");
        self.scanner.string(|piece| match piece {
            Piece::Run(run) if key.is_empty() => key = Cow::Borrowed(run),
            Piece::Run(run) => key.to_mut().push_str(run),
            Piece::Char(char) => key.to_mut().push(char),
        })?;
        self.visitor.key(key).map_err(|what| Fault::Wrong { what, at })?;
        if self.scanner.peek_token() != Some(b':') {
            return Err(self.scanner.wrong("expected ':'"));
        }
        self.scanner.bump();
        self.value(depth)
    }

    /// Takes an opening bracket.
    const fn enter(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > MAX_JSON_DEPTH {
            return Err(Fault::TooDeep);
        }
        self.scanner.bump();
        Ok(())
    }

    /// Takes a comma (`false`) or the closing bracket (`true`).
    fn ends(&mut self, closing: u8, expected: &'static str) -> Result<bool, Fault> {
        match self.scanner.peek_token() {
            Some(byte) if byte == closing || byte == b',' => {
                self.scanner.bump();
                Ok(byte == closing)
            }
            _ => Err(self.scanner.wrong(expected)),
        }
    }
}
