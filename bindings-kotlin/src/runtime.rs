//! The tokio runtime of this library, which all channels share. It ends with the last one.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Handle, Runtime};

use crate::control::StartError;

/// The runtime, and how many channels use it.
static RUNTIME: Mutex<Option<(Runtime, usize)>> = Mutex::new(None);

/// A channel's share of the runtime. The JVM's exit does not wait for it.
#[derive(Debug)]
pub(crate) struct SharedRuntime(Handle);

impl SharedRuntime {
    /// Starts the runtime if no channel uses it yet.
    pub(crate) fn get() -> Result<Self, StartError> {
        let mut shared = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.is_none() {
            *shared = Some((bindings_common::runtime::builder()?.build()?, 0));
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
