//! One caller writes for all that wait at the same time (flat combining).
//!
//! Callers that want to write enter their groups of appends. One of them takes all groups that wait and answers them;
//! the others wait for their answers. Each backend decides what one such write is.

#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::event::Event;
use crate::limits::{GROUP_BYTES, GROUP_EVENTS};
use crate::request::AppendRequest;

/// Groups of appends that wait to be written together. `G` is a group, `A` its answer.
#[derive(Debug)]
pub(crate) struct Combiner<G, A> {
    state: Mutex<State<G, A>>,
    /// Held by the caller that writes.
    writing: tokio::sync::Mutex<()>,
    /// How often the caller that writes yields, so that the callers it has just answered can enter again.
    gathering_yields: usize,
}

#[derive(Debug)]
struct State<G, A> {
    waiting: VecDeque<Waiting<G, A>>,
    next_ticket: u64,
    /// Who entered the groups of the last write and of the one before it. A caller that was answered by the last write
    /// is often not back before the next, so one write alone shows only half of the callers.
    last_sources: [Vec<usize>; 2],
}

#[derive(Debug)]
struct Waiting<G, A> {
    ticket: u64,
    source: usize,
    group: G,
    answer: oneshot::Sender<A>,
}

/// Why a group has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// The limit passed before a caller took the group. It was not written.
    Late,
    /// The caller that took the group panicked or was dropped.
    Lost,
}

/// The caller of a group that may still wait.
struct Entered<'c, G, A> {
    combiner: &'c Combiner<G, A>,
    ticket: u64,
}

impl<G, A> Drop for Entered<'_, G, A> {
    fn drop(&mut self) {
        self.combiner.withdraw(self.ticket);
    }
}

impl<G: AsRef<[AppendRequest]>, A> Combiner<G, A> {
    /// With `gathering_yields` above 0, the caller that writes first waits, by so many yields at most, until as many
    /// groups wait as different callers were answered lately.
    pub(crate) fn new(gathering_yields: usize) -> Self {
        let state = State { waiting: VecDeque::new(), next_ticket: 0, last_sources: [Vec::new(), Vec::new()] };
        Self { state: Mutex::new(state), writing: tokio::sync::Mutex::default(), gathering_yields }
    }

    /// Enters a group and waits for its answer. If no other caller has taken it, this one takes all groups that wait.
    /// `write` answers each of them, in their order.
    ///
    /// `source` identifies the caller, for gathering. The future must be polled to its end or dropped, because other
    /// callers may wait for its write. If it is dropped while it writes, or `write` panics, the callers of that write
    /// are [`Unanswered::Lost`], and one of those that still wait writes next.
    pub(crate) async fn run<W>(
        &self,
        source: usize,
        group: G,
        limit: Instant,
        write: impl Fn(Vec<G>) -> W,
    ) -> Result<A, Unanswered>
    where
        W: Future<Output = Vec<A>>,
    {
        let (ticket, mut answered) = self.enter(source, group);
        // A caller that is dropped while its group waits takes the group with it.
        let _entered = Entered { combiner: self, ticket };
        let answered = tokio::select! {
            biased;
            answered = &mut answered => answered,
            writing = self.writing.lock() => {
                // The caller that wrote before may have taken this group too.
                while self.has(ticket) {
                    self.gather().await;
                    let (groups, callers): (Vec<_>, Vec<_>) =
                        self.take().into_iter().map(|waiting| (waiting.group, waiting.answer)).unzip();
                    for (caller, answer) in callers.into_iter().zip(write(groups).await) {
                        // The caller may be gone. The write is valid all the same.
                        let _ = caller.send(answer);
                    }
                }
                drop(writing);
                answered.await
            }
            () = sleep_until(limit) => {
                if self.withdraw(ticket) {
                    return Err(Unanswered::Late);
                }
                answered.await
            }
        };
        answered.map_err(|_| Unanswered::Lost)
    }

    fn enter(&self, source: usize, group: G) -> (u64, oneshot::Receiver<A>) {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(Waiting { ticket, source, group, answer });
        (ticket, answered)
    }

    fn has(&self, ticket: u64) -> bool {
        self.state().waiting.iter().any(|waiting| waiting.ticket == ticket)
    }

    /// Waits for the callers that were answered lately.
    async fn gather(&self) {
        for _ in 0..self.gathering_yields {
            {
                let state = self.state();
                let lately: HashSet<usize> = state.last_sources.iter().flatten().copied().collect();
                if state.waiting.len() >= lately.len() {
                    return;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Takes the groups of one write, in the order they were entered: at most 1,000 events and 8 MiB, or one group.
    fn take(&self) -> Vec<Waiting<G, A>> {
        let mut state = self.state();
        let (mut events, mut bytes) = (0, 0);
        let fits = |waiting: &&Waiting<G, A>| {
            let of_group = || waiting.group.as_ref().iter().flat_map(|request| request.events.iter());
            events += of_group().count();
            bytes += of_group().map(Event::size_bytes).sum::<usize>();
            events <= GROUP_EVENTS && bytes <= GROUP_BYTES
        };
        let fitting = state.waiting.iter().take_while(fits).count().max(1).min(state.waiting.len());
        let taken: Vec<_> = state.waiting.drain(..fitting).collect();
        state.last_sources.swap(0, 1);
        state.last_sources[0] = taken.iter().map(|waiting| waiting.source).collect();
        taken
    }
}

impl<G, A> Combiner<G, A> {
    fn state(&self) -> MutexGuard<'_, State<G, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a group. Returns whether it still waited.
    fn withdraw(&self, ticket: u64) -> bool {
        let mut state = self.state();
        let before = state.waiting.len();
        state.waiting.retain(|waiting| waiting.ticket != ticket);
        state.waiting.len() < before
    }
}
