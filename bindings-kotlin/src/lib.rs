//! The native half of Streamkeep's Kotlin and Java library.
//!
//! It only converts: requests in, calls of core, answers out. Everything crosses in frames of many through one
//! [`NativeChannel`]; what users see is written by hand in Kotlin and Java.

mod channel;
mod convert;
mod error;
mod frame;
mod runtime;
mod store;

pub use crate::channel::{NativeChannel, streamkeep_drain, streamkeep_submit};
pub use crate::error::StartError;

uniffi::setup_scaffolding!();
