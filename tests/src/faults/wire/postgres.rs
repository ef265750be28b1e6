//! Postgres' protocol, version 3.

use std::io;

use super::{LONGEST, Protocol, split};

/// Codes instead of a protocol version: the client asks for TLS or GSS encryption.
const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];

/// One whole message, as it came.
#[derive(Debug)]
pub struct Message {
    bytes: Vec<u8>,
    /// The first messages of a client have no type.
    typed: bool,
}

impl Message {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn kind(&self) -> u8 {
        if self.typed { self.bytes[0] } else { 0 }
    }

    fn body(&self) -> &[u8] {
        &self.bytes[if self.typed { 5 } else { 4 }..]
    }

    pub fn asks_for_encryption(&self) -> bool {
        !self.typed && number(self.body()).is_some_and(|code| ENCRYPTION.contains(&code))
    }

    /// The name and text of a statement that is prepared.
    pub fn parse(&self) -> Option<(&[u8], &[u8])> {
        if self.kind() != b'P' {
            return None;
        }
        let mut parts = self.body().splitn(3, |byte| *byte == 0);
        Some((parts.next()?, parts.next()?))
    }

    /// The name of a prepared statement that gets its parameters.
    pub fn bind(&self) -> Option<&[u8]> {
        if self.kind() != b'B' {
            return None;
        }
        self.body().split(|byte| *byte == 0).nth(1)
    }

    /// The text of a simple query.
    pub fn query(&self) -> Option<&[u8]> {
        (self.kind() == b'Q').then(|| self.body().split(|byte| *byte == 0).next())?
    }

    /// Parse, Bind, Describe, Execute, Close: a Sync follows.
    pub fn waits_for_more(&self) -> bool {
        matches!(self.kind(), b'P' | b'B' | b'D' | b'E' | b'C')
    }

    /// A Sync or a query: the server answers everything before it, and commits where no transaction is open.
    pub fn synchronises(&self) -> bool {
        matches!(self.kind(), b'S' | b'Q')
    }

    pub fn is_ready_for_query(&self) -> bool {
        self.kind() == b'Z'
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}

/// One side of a connection, and whether its messages have a type yet.
#[derive(Debug)]
pub struct Side {
    typed: bool,
}

impl Side {
    pub const CLIENT: Self = Self { typed: false };
    pub const SERVER: Self = Self { typed: true };
}

impl Protocol for Side {
    type Message = Message;

    fn take(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Message>> {
        let type_bytes = usize::from(self.typed);
        let Some(length) = buffer.get(type_bytes..).and_then(number) else { return Ok(None) };
        let length = type_bytes + length as usize;
        if length < type_bytes + 4 || length > LONGEST {
            return Err(io::Error::other("this is not Postgres' protocol"));
        }
        if buffer.len() < length {
            return Ok(None);
        }
        let message = Message { bytes: split(buffer, length), typed: self.typed };
        // Messages have a type after the start-up message, but not yet after a request for encryption.
        self.typed |= !message.asks_for_encryption();
        Ok(Some(message))
    }
}
