//! The last pages of the log that the tail reader read, as many as fit.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::RecordedEvent;
use crate::limits::{PAGE_BYTES, PAGE_EVENTS};
use crate::request::LogPage;

/// One page that the tail reader read.
#[derive(Debug)]
pub(crate) struct TailPage {
    /// All events above the page before, up to `reached`.
    pub(crate) events: Vec<RecordedEvent>,
    reached: u64,
    bytes: usize,
}

/// Pages that follow each other: at most 1,000 events and 4 MiB, or one page.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// The first page has everything above this position.
    from: u64,
    reached: u64,
    pages: VecDeque<Arc<TailPage>>,
    events: usize,
    bytes: usize,
    /// The position of the reader that is farthest.
    taken: u64,
}

impl Window {
    /// An empty window that begins at a position.
    pub(crate) fn at(position: u64) -> Self {
        Self { from: position, reached: position, taken: position, ..Self::default() }
    }

    /// How far the pages go.
    pub(crate) const fn reached(&self) -> u64 {
        self.reached
    }

    /// Adds the next page, and removes the oldest ones if they do not fit any more.
    pub(crate) fn push(&mut self, page: LogPage) {
        let bytes = page.events.iter().map(|event| event.data.len() + event.metadata.len()).sum();
        self.reached = page.reached;
        self.events += page.events.len();
        self.bytes += bytes;
        self.pages.push_back(Arc::new(TailPage { events: page.events, reached: page.reached, bytes }));
        while self.pages.len() > 1 && (self.events > PAGE_EVENTS || self.bytes > PAGE_BYTES) {
            let Some(oldest) = self.pages.pop_front() else { return };
            self.from = oldest.reached;
            self.events -= oldest.events.len();
            self.bytes -= oldest.bytes;
        }
    }

    /// Whether everything above a position is in the window or not read yet.
    pub(crate) const fn holds(&self, position: u64) -> bool {
        position >= self.from
    }

    /// The pages above a position, and how far they go. `None` if nothing above it was read yet.
    pub(crate) fn above(&self, position: u64) -> Option<(Vec<Arc<TailPage>>, u64)> {
        if position >= self.reached {
            return None;
        }
        let first = self.pages.partition_point(|page| page.reached <= position);
        Some((self.pages.range(first..).map(Arc::clone).collect(), self.reached))
    }

    /// Records that a reader has reached a position.
    pub(crate) fn taken(&mut self, position: u64) {
        self.taken = self.taken.max(position);
    }

    /// Whether a reader is still inside the window. If not, no reader needs the next page.
    pub(crate) const fn in_use(&self) -> bool {
        self.taken >= self.from
    }
}
