//! The rare calls of the JVM, by UniFFI, which writes their Kotlin half with its types and errors. `native.rs` has the
//! frequent ones.
//!
//! Nothing here keeps a reference to the JVM. UniFFI has one table of callbacks for a process, so a callback of one class
//! loader would be called for the channels of all of them, even after that class loader is gone.

use std::fmt;

use bindings_common::runtime::WrongSetting;

use crate::channel;

/// The version of this library. Kotlin refuses another version than its own.
#[uniffi::export]
#[must_use]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Begins a channel. Returns its number.
#[uniffi::export]
pub fn begin() -> Result<i64, StartError> {
    channel::begin()
}

/// Ends a channel, with its calls, stores and readers.
#[uniffi::export]
pub fn end(channel: i64) {
    channel::end(channel);
}

/// Counts what a channel has; nothing if it is over.
#[uniffi::export]
#[must_use]
pub fn counts(channel: i64) -> Counts {
    let (calls, handles) = channel::counts(channel);
    let as_int = |count| i32::try_from(count).unwrap_or(i32::MAX);
    Counts { calls: as_int(calls), handles: as_int(handles) }
}

/// What a channel has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, uniffi::Record)]
pub struct Counts {
    /// How many calls are running.
    pub calls: i32,
    /// How many stores and readers exist.
    pub handles: i32,
}

/// Why a channel could not begin.
#[derive(Debug, uniffi::Error)]
pub enum StartError {
    /// The threads of this library could not be started.
    Threads {
        /// The system's message.
        reason: String,
    },
    /// A setting of the environment cannot be used.
    Setting {
        /// What it must be.
        reason: String,
    },
}

impl From<std::io::Error> for StartError {
    fn from(cause: std::io::Error) -> Self {
        Self::Threads { reason: cause.to_string() }
    }
}

impl From<WrongSetting> for StartError {
    fn from(wrong: WrongSetting) -> Self {
        Self::Setting { reason: wrong.to_string() }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads { reason } => write!(f, "the threads of the native library cannot be started: {reason}"),
            Self::Setting { reason } => f.write_str(reason),
        }
    }
}

impl std::error::Error for StartError {}
