//! Where a message ends, on each wire protocol that a proxy knows, and the few messages it must understand.

pub mod mongodb;
pub mod postgres;

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Longer than anything an append sends.
const LONGEST: usize = 64 << 20;

/// How bytes become messages.
pub trait Protocol {
    type Message;

    /// Takes a whole message from the front; nothing when more must come first.
    fn take(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Self::Message>>;
}

/// What came from one side and was not yet a whole message.
#[derive(Debug)]
pub struct Incoming<P> {
    buffer: Vec<u8>,
    protocol: P,
}

impl<P: Protocol> Incoming<P> {
    pub const fn new(protocol: P) -> Self {
        Self { buffer: Vec::new(), protocol }
    }

    /// The next whole message; nothing at the end. Can be dropped and asked again.
    pub async fn next(&mut self, stream: &mut TcpStream) -> io::Result<Option<P::Message>> {
        loop {
            if let Some(message) = self.protocol.take(&mut self.buffer)? {
                return Ok(Some(message));
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// The first so many bytes.
fn split(buffer: &mut Vec<u8>, length: usize) -> Vec<u8> {
    let rest = buffer.split_off(length);
    std::mem::replace(buffer, rest)
}
