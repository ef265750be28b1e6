//! The native half of the npm package `streamkeep`: values in, call, values out, errors as data.
//!
//! Everything here is private to the package; `typescript/` is its face.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    reason = "what napi exports is reached from JavaScript, which prints it itself"
)]

mod convert;
mod error;
mod iteration;
mod page;
mod runtime;
mod store;

use napi_derive::napi;

pub use self::runtime::promise;

/// The version of this half, which the other half compares with its own.
#[napi(catch_unwind)]
#[must_use]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// A new event id: a UUID of version 7.
#[napi(catch_unwind)]
#[must_use]
pub fn new_id() -> String {
    streamkeep::new_id().to_string()
}
