//! Hints: that the log may hold more than before.
//!
//! A hint only says when to look: a reader that is woken reads the log by position. So a lost hint costs at most the
//! poll interval, and nothing else.

use tokio::sync::watch;

/// Wakes the tail reader of one namespace after this process's own writes.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    generation: watch::Sender<u64>,
}

impl Hints {
    /// Says that the log may have new events.
    pub(crate) fn wake(&self) {
        self.generation.send_modify(|generation| *generation = generation.wrapping_add(1));
    }

    /// Starts listening: a write from here on ends the wait. Call it before reading.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}
