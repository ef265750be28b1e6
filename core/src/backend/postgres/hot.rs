//! Remembers contended streams: those to which several stores append at the same time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::request::AppendRequest;

/// How long a stream counts as contended after a lost race. Then its appends use the lanes again.
const MEMORY: Duration = Duration::from_secs(1);
/// With more streams than this, those that are no longer contended are removed.
const MANY: usize = 1_000;

/// The contended streams of a namespace, each with the time of its last lost race.
#[derive(Debug, Default)]
pub(super) struct HotStreams(Mutex<HashMap<String, Instant>>);

impl HotStreams {
    pub(super) fn mark(&self, stream: &str) {
        let mut streams = self.streams();
        if streams.len() >= MANY {
            streams.retain(|_, since| since.elapsed() < MEMORY);
        }
        streams.insert(stream.to_owned(), Instant::now());
    }

    /// The indexes of the appends that go to contended streams.
    pub(super) fn among(&self, group: &[AppendRequest]) -> Vec<usize> {
        let streams = self.streams();
        if streams.is_empty() {
            return Vec::new();
        }
        let is_hot = |request: &AppendRequest| streams.get(&request.stream).is_some_and(|at| at.elapsed() < MEMORY);
        group.iter().enumerate().filter(|(_, request)| is_hot(request)).map(|(place, _)| place).collect()
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
