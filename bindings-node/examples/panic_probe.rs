//! An addon for the tests alone: panics behind the same guards as the package's functions, results that JavaScript
//! cannot have, and log lines. The package itself has no such thing to call.

#![allow(missing_docs, clippy::panic, reason = "its one purpose")]

use napi_derive::napi;
use streamkeep_node::{Failure, NativeMailbox};

/// One character more than a string of JavaScript can have.
const TOO_LONG: usize = (1 << 29) - 23;

#[napi(catch_unwind)]
pub fn panic_now() {
    panic!("a probe");
}

#[napi(catch_unwind)]
pub fn panic_later(mailbox: &NativeMailbox, number: u32) -> napi::Result<()> {
    mailbox.calls().start(number, |()| (), async { panic_in_call() })
}

#[napi(catch_unwind)]
pub fn panic_in_answer(mailbox: &NativeMailbox, number: u32) -> napi::Result<()> {
    mailbox.calls().start(number, |()| panic_now(), async { Ok::<_, Failure>(()) })
}

#[napi(catch_unwind)]
pub fn answer_too_much(mailbox: &NativeMailbox, number: u32) -> napi::Result<()> {
    mailbox.calls().start(number, |()| "x".repeat(TOO_LONG), async { Ok::<_, Failure>(()) })
}

#[napi(catch_unwind)]
pub fn echo(mailbox: &NativeMailbox, number: u32) -> napi::Result<()> {
    mailbox.calls().start(number, move |()| number, async { Ok::<_, Failure>(()) })
}

/// Writes log lines on a thread of its own, of which those of the package are handed over.
#[napi(catch_unwind)]
pub fn log(first: u32, count: u32) {
    let lines = std::thread::spawn(move || {
        for number in first..first + count {
            tracing::warn!(target: "streamkeep::probe", number, half = %"a half", "a line");
            tracing::warn!(target: "sqlx", number, "a line of a driver");
            tracing::trace!(target: "streamkeep::probe", number, "a detail");
        }
    });
    let _ = lines.join();
}

fn panic_in_call() -> Result<(), Failure> {
    panic!("a probe")
}
