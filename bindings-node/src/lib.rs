//! The native module of the npm package `streamkeep`: it converts the arguments, calls core, and converts the result or
//! error.
//!
//! Everything here is private to the package; users see `typescript/`.

#![allow(unreachable_pub, missing_debug_implementations, reason = "JavaScript uses and prints what napi exports")]

mod call;
mod convert;
mod error;
mod iteration;
mod log;
mod mailbox;
mod page;
mod runtime;
mod store;

use napi_derive::napi;

pub use self::error::Failure;
pub use self::mailbox::NativeMailbox;

/// The version of this module, which TypeScript compares with its own.
#[napi(catch_unwind)]
#[must_use]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Returns a new event id: a UUID of version 7.
#[napi(catch_unwind)]
#[must_use]
pub fn new_id() -> String {
    streamkeep::new_id().to_string()
}
