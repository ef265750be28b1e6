//! The parts of each wire protocol that a proxy needs: where a message ends, and the few messages it must understand.

pub mod mongodb;
pub mod postgres;

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Longer than anything that an append sends.
const LONGEST: usize = 64 << 20;

/// How to split bytes into messages.
pub trait Protocol {
    type Message;

    /// Takes a whole message from the front; `None` if it is not complete.
    fn take(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Self::Message>>;
}

/// Bytes from one side that are not yet a whole message.
#[derive(Debug)]
pub struct Incoming<P> {
    buffer: Vec<u8>,
    protocol: P,
}

impl<P: Protocol> Incoming<P> {
    pub const fn new(protocol: P) -> Self {
        Self { buffer: Vec::new(), protocol }
    }

    /// The next whole message, or `None` at the end. Safe to drop and call again.
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

/// Takes this many bytes from the front.
fn split(buffer: &mut Vec<u8>, length: usize) -> Vec<u8> {
    let rest = buffer.split_off(length);
    std::mem::replace(buffer, rest)
}
