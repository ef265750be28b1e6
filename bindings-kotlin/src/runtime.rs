//! The tokio runtime of this library, one for the process.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// Few threads are enough, because database work waits far more than it computes.
const MOST_WORKERS: usize = 4;

/// The runtime, started at the first use. It exists as long as the process; the JVM's exit does not wait for it.
pub(crate) fn handle() -> std::io::Result<Handle> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle().clone());
    }
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let started = Builder::new_multi_thread()
        .worker_threads(cores.clamp(2, MOST_WORKERS))
        .thread_name("streamkeep")
        .enable_all()
        .build()?;
    // If two threads start one at the same time, one runtime is kept. The other has no work yet and ends.
    Ok(RUNTIME.get_or_init(|| started).handle().clone())
}
