//! Frames: the byte format of values between the JVM and core. Integers are big-endian, texts and lists start with
//! their length, and optional values start with a flag.
//!
//! The JVM's side is `Frame.kt`.

use std::time::Duration;

use uuid::Uuid;

use crate::error::Failure;

/// Writes values without separators.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.byte(u8::from(value));
    }

    pub(crate) fn long(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// A version, position or count, which is below 2^53.
    pub(crate) fn number(&mut self, value: u64) {
        self.long(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// A length. Frames are far smaller than 2 GiB.
    pub(crate) fn length(&mut self, value: usize) {
        self.0.extend_from_slice(&i32::try_from(value).unwrap_or(i32::MAX).to_be_bytes());
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.length(value.len());
        self.0.extend_from_slice(value);
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    pub(crate) fn optional_text(&mut self, value: Option<&str>) {
        self.flag(value.is_some());
        if let Some(value) = value {
            self.text(value);
        }
    }

    pub(crate) fn optional<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn texts(&mut self, values: &[String]) {
        self.length(values.len());
        values.iter().for_each(|value| self.text(value));
    }

    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.0.extend_from_slice(value.as_bytes());
    }
}

/// Reads values. A frame that ends too early is a bug of this library, never of the caller.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Failure> {
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or_else(|| Failure::internal("a frame ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        self.take(N)?.try_into().map_err(|_| Failure::internal("a frame ends too early"))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Failure> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Failure> {
        Ok(self.byte()? != 0)
    }

    pub(crate) fn long(&mut self) -> Result<i64, Failure> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A number that must not be negative.
    pub(crate) fn number(&mut self, argument: &'static str) -> Result<u64, Failure> {
        u64::try_from(self.long()?).map_err(|_| Failure::argument(argument, format!("{argument} must not be negative")))
    }

    pub(crate) fn length(&mut self) -> Result<usize, Failure> {
        usize::try_from(i32::from_be_bytes(self.array()?))
            .map_err(|_| Failure::internal("a frame has a negative length"))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Failure> {
        let length = self.length()?;
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Result<String, Failure> {
        let text = std::str::from_utf8(self.bytes()?).map_err(|_| Failure::internal("a frame's text is not UTF-8"))?;
        Ok(text.to_owned())
    }

    pub(crate) fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, Failure>) -> Result<Vec<T>, Failure> {
        let length = self.length()?;
        (0..length).map(|_| item(self)).collect()
    }

    pub(crate) fn texts(&mut self) -> Result<Vec<String>, Failure> {
        self.list(Self::text)
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, Failure> {
        Ok(Uuid::from_bytes(self.array()?))
    }

    pub(crate) fn optional<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        if self.flag()? { value(self).map(Some) } else { Ok(None) }
    }

    pub(crate) fn optional_number(&mut self, argument: &'static str) -> Result<Option<u64>, Failure> {
        self.optional(|frame| frame.number(argument))
    }

    /// A duration in microseconds.
    pub(crate) fn optional_duration(&mut self, argument: &'static str) -> Result<Option<Duration>, Failure> {
        Ok(self.optional_number(argument)?.map(Duration::from_micros))
    }
}
