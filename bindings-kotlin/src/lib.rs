//! The native library of Streamkeep for Kotlin and Java.
//!
//! It only converts requests to calls of core, and their results to answers. All of them pass through one
//! [`NativeChannel`] in frames of many. The public API is written by hand in Kotlin and Java.

mod channel;
mod convert;
mod error;
mod frame;
mod runtime;
mod store;

pub use crate::channel::{NativeChannel, streamkeep_drain, streamkeep_submit};
pub use crate::error::StartError;

uniffi::setup_scaffolding!();
