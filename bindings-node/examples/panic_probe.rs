//! An addon for the tests alone: panics behind the same guards as the package's functions. The package itself has no
//! such thing to call.

#![allow(missing_docs, clippy::panic, reason = "its one purpose")]

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

#[napi(catch_unwind)]
pub fn panic_now() {
    panic!("a probe");
}

#[napi(catch_unwind)]
pub fn panic_later(env: &Env) -> napi::Result<Object<'_>> {
    streamkeep_node::promise(env, |()| (), async { panic!("a probe") })
}
