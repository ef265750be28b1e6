//! Deadlines. Waiting works in any executor, because the threads of a host language poll the store's futures outside
//! its tokio runtime.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::limits::MAX_TIMEOUT;

/// The deadline of a call that begins now and may take `timeout`.
pub(crate) fn deadline_in(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(MAX_TIMEOUT)
}

/// Waits for `future` until `deadline`; `None` if the deadline passes first.
pub(crate) async fn until<F: Future>(runtime: &Handle, deadline: Instant, future: F) -> Option<F::Output> {
    let sleep = {
        let _context = runtime.enter();
        tokio::time::sleep_until(deadline)
    };
    let (mut sleep, mut future) = (pin!(sleep), pin!(future));
    tokio::select! {
        biased;
        output = &mut future => Some(output),
        () = &mut sleep => None,
    }
}
