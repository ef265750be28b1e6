//! MongoDB's protocol: OP_MSG with its sections. Any other message, such as an old driver's first hello, has no
//! command.

use std::io;

use mongodb::bson::Document;

use super::{LONGEST, Protocol, split};

/// Length, request, answered request, kind: four bytes each.
const HEADER: usize = 16;
const OP_MSG: u32 = 2013;
/// The flag that says that the last four bytes are a checksum.
const CHECKSUM: u32 = 1;

/// One whole message, as it came.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Vec<u8>,
}

/// A client's command.
#[derive(Clone, Debug)]
pub struct Command {
    pub name: String,
    /// Without the name of the database.
    pub collection: String,
    pub body: Document,
}

impl Message {
    /// The answer to a request.
    pub fn answer(request: u32, document: &Document) -> io::Result<Self> {
        Self::of(0, request, document)
    }

    fn of(own: u32, request: u32, document: &Document) -> io::Result<Self> {
        let mut bytes = vec![0; HEADER + 5];
        document.to_writer(&mut bytes).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        for (place, value) in [length, own, request, OP_MSG].into_iter().enumerate() {
            bytes[place * 4..place * 4 + 4].copy_from_slice(&value.to_le_bytes());
        }
        Ok(Self { bytes })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn request(&self) -> u32 {
        number(&self.bytes, 4).unwrap_or_default()
    }

    /// The request that this message answers.
    pub fn answers(&self) -> u32 {
        number(&self.bytes, 8).unwrap_or_default()
    }

    /// The document of the message without its sequences; `None` in a message of another kind.
    pub fn document(&self) -> io::Result<Option<Document>> {
        if number(&self.bytes, 12) != Some(OP_MSG) {
            return Ok(None);
        }
        let flags = number(&self.bytes, HEADER).ok_or_else(broken)?;
        let end = self.bytes.len() - if flags & CHECKSUM == 0 { 0 } else { 4 };
        let mut sections = self.bytes.get(HEADER + 4..end).ok_or_else(broken)?;
        while let Some((kind, rest)) = sections.split_first() {
            let length = number(rest, 0).ok_or_else(broken)? as usize;
            let (section, after) = rest.split_at_checked(length).ok_or_else(broken)?;
            if *kind == 0 {
                return Document::from_reader(section).map(Some).map_err(io::Error::other);
            }
            sections = after;
        }
        Err(broken())
    }

    pub fn command(&self) -> io::Result<Option<Command>> {
        let Some(body) = self.document()? else { return Ok(None) };
        let (name, value) = body.iter().next().ok_or_else(broken)?;
        // A getMore has the cursor as its first value.
        let collection = value.as_str().or_else(|| body.get_str("collection").ok()).unwrap_or_default().to_owned();
        Ok(Some(Command { name: name.clone(), collection, body }))
    }

    /// The same message with another document, without sequences.
    pub fn with(&self, document: &Document) -> io::Result<Self> {
        Self::of(self.request(), self.answers(), document)
    }
}

impl Command {
    /// Whether it belongs to a transaction.
    pub fn in_transaction(&self) -> bool {
        self.body.get_bool("autocommit").is_ok_and(|autocommit| !autocommit)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn broken() -> io::Error {
    io::Error::other("this is not MongoDB's protocol")
}

/// Both sides of a connection use the same format.
#[derive(Debug)]
pub struct Either;

impl Protocol for Either {
    type Message = Message;

    fn take(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Message>> {
        let Some(length) = number(buffer, 0) else { return Ok(None) };
        let length = length as usize;
        if !(HEADER..=LONGEST).contains(&length) {
            return Err(broken());
        }
        Ok((buffer.len() >= length).then(|| Message { bytes: split(buffer, length) }))
    }
}
