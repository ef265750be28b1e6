//! The native library of Streamkeep for Kotlin and Java.
//!
//! It only converts requests to calls of core, and their results to answers. All of them pass through one
//! channel in frames of many, by JNI ([`native`]). What begins and ends a channel, and what looks into it, is rare and
//! typed, and passes by UniFFI ([`control`]). The public API is written by hand in Kotlin and Java.

mod channel;
mod control;
mod convert;
mod error;
mod frame;
mod native;
mod operations;
mod runtime;
mod store;

pub use crate::control::{Counts, StartError, begin, counts, end, version};

uniffi::setup_scaffolding!();
