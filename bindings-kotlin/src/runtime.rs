//! The tokio runtime of this library, which all channels share. It ends with the last one.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

/// The runtime, and how many channels use it.
static RUNTIME: Mutex<Option<(Runtime, usize)>> = Mutex::new(None);

/// Few threads are enough, because database work waits far more than it computes.
const MOST_WORKERS: usize = 4;

/// A channel's share of the runtime. The JVM's exit does not wait for it.
#[derive(Debug)]
pub(crate) struct SharedRuntime(Handle);

impl SharedRuntime {
    /// Starts the runtime if no channel uses it yet.
    pub(crate) fn get() -> std::io::Result<Self> {
        let mut shared = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.is_none() {
            *shared = Some((start()?, 0));
        }
        let (runtime, users) = shared.as_mut().ok_or_else(|| std::io::Error::other("the runtime is gone"))?;
        *users += 1;
        Ok(Self(runtime.handle().clone()))
    }

    pub(crate) const fn handle(&self) -> &Handle {
        &self.0
    }

    /// Gives the share back. The last one ends the runtime and its threads, without waiting for them.
    pub(crate) fn release(&self) {
        let mut shared = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, users)) = shared.as_mut() else { return };
        *users -= 1;
        if *users == 0 {
            let ended = shared.take();
            drop(shared);
            if let Some((runtime, _)) = ended {
                runtime.shutdown_background();
            }
        }
    }
}

fn start() -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    Builder::new_multi_thread()
        .worker_threads(cores.clamp(2, MOST_WORKERS))
        .thread_name("streamkeep")
        .enable_all()
        .build()
}
