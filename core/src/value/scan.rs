//! Reads the tokens of JSON (RFC 8259) from a text.

/// Why a text is not a JSON value that the store accepts. It never has any part of the text, because payloads can be
/// personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What is wrong, and at which byte, counted from 0.
    Wrong { what: &'static str, at: usize },
    /// Arrays and objects are nested too deep.
    TooDeep,
}

/// A part of a string's content.
pub(crate) enum Piece<'a> {
    /// Characters as they are in the text.
    Run(&'a str),
    /// A character that is written as an escape.
    Char(char),
}

pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) const fn wrong(&self, what: &'static str) -> Fault {
        Fault::Wrong { what, at: self.at }
    }

    /// Skips white space and returns the byte after it, without taking it.
    pub(super) fn peek_token(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
        self.peek()
    }

    /// Takes the byte that was returned last.
    pub(super) const fn bump(&mut self) {
        self.at += 1;
    }

    /// Takes all of `word`, which is ASCII.
    pub(super) fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        if !self.bytes_from(self.at).starts_with(word.as_bytes()) {
            return Err(self.wrong("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Takes a number and returns it as it is written.
    pub(super) fn number(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if let Some(b'0'..=b'9') = self.peek() {
                return Err(self.wrong("a number must not begin with a zero"));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.slice(start, self.at))
    }

    /// Takes a string, from its opening quote on, and passes its content on in pieces.
    #[inline]
    pub(super) fn string(&mut self, mut take: impl FnMut(Piece<'a>)) -> Result<(), Fault> {
        self.at += 1;
        let mut from = self.at;
        loop {
            self.at = plain_end(self.text.as_bytes(), self.at);
            match self.peek() {
                Some(b'"') => {
                    take(Piece::Run(self.slice(from, self.at)));
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    take(Piece::Run(self.slice(from, self.at)));
                    take(Piece::Char(self.escape()?));
                    from = self.at;
                }
                Some(_) => return Err(self.wrong("a control character in a string must be escaped")),
                None => return Err(self.wrong("the text ends inside a string")),
            }
        }
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.wrong("expected a digit")) } else { Ok(()) }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let meant = match self.text.as_bytes().get(self.at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.wrong("unknown escape in a string")),
        };
        self.at += 2;
        Ok(meant)
    }

    /// `\uXXXX`, or two of them that make one character. Half of a pair is not a character.
    fn unicode_escape(&mut self) -> Result<char, Fault> {
        let first = self.hex(self.at + 2)?;
        let (code, length) = match first {
            0xD800..=0xDBFF if self.bytes_from(self.at + 6).starts_with(b"\\u") => match self.hex(self.at + 8)? {
                second @ 0xDC00..=0xDFFF => (0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00), 12),
                _ => (first, 6),
            },
            _ => (first, 6),
        };
        let meant = char::from_u32(code).ok_or(self.wrong("a lone surrogate"))?;
        self.at += length;
        Ok(meant)
    }

    fn hex(&self, at: usize) -> Result<u32, Fault> {
        let fault = Fault::Wrong { what: "expected four hexadecimal digits", at };
        let digits = self.bytes_from(at).first_chunk::<4>().ok_or(fault)?;
        digits.iter().try_fold(0, |code, &digit| Some(code * 16 + char::from(digit).to_digit(16)?)).ok_or(fault)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn bytes_from(&self, at: usize) -> &'a [u8] {
        self.text.as_bytes().get(at..).unwrap_or_default()
    }

    /// Both ends are next to an ASCII byte, so they are character boundaries.
    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }
}

/// Finds the end of the bytes of a string that need no unescaping: the next quote, backslash or control character, or
/// the end of the text.
///
/// Eight bytes at a time: a byte's high bit is set in `special` if it is one of those. The subtractions may also mark
/// bytes after such a byte, never before the first one, and only the first one counts.
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);
    const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let (quotes, backslashes) = (word ^ QUOTES, word ^ BACKSLASHES);
        let special = ((word.wrapping_sub(SPACES) & !word)
            | (quotes.wrapping_sub(ONES) & !quotes)
            | (backslashes.wrapping_sub(ONES) & !backslashes))
            & HIGHS;
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}
