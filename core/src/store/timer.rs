//! Waiting with a deadline from any executor: a host's threads poll the store's futures outside the runtime.

use std::future::Future;
use std::pin::pin;

use tokio::runtime::Handle;
use tokio::time::Instant;

/// Waits for `future` until `deadline`; `None` when the deadline came first.
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
