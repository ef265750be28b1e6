//! The native library of Streamkeep for Kotlin and Java.
//!
//! It only converts requests to calls of core, and their results to answers. All of them pass through one
//! channel in frames of many. The public API is written by hand in Kotlin and Java.

mod channel;
mod convert;
mod error;
mod frame;
mod native;
mod runtime;
mod store;
