//! Connections that nobody uses at the moment.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::session::Session;

/// A connection that lay still for longer may have been cut off by something in between.
const IDLE: Duration = Duration::from_secs(240);

/// The idle connections of a pool.
#[derive(Debug, Default)]
pub(super) struct Idle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The last one in is the first one out.
    sessions: Vec<(Session, Instant)>,
    /// What has been idle since before this is asked whether it lives before it is used.
    suspected: Option<Instant>,
    closed: bool,
    /// Another number after each connection that was made or lost: the server behind it may have been set back.
    generation: u64,
}

/// An idle connection that was taken.
pub(super) struct Taken {
    pub(super) session: Session,
    /// Whether it may be dead, because another one let a deadline pass.
    pub(super) suspect: bool,
}

impl Idle {
    pub(super) fn take(&self) -> Option<Taken> {
        let mut state = self.state();
        let (session, since) = state.sessions.pop()?;
        if since.elapsed() >= IDLE {
            // Those below lay still for even longer.
            state.sessions.clear();
            return None;
        }
        let suspect = state.suspected.is_some_and(|suspected| since <= suspected);
        Some(Taken { session, suspect })
    }

    pub(super) fn put(&self, session: Session) {
        let mut state = self.state();
        if !state.closed {
            state.sessions.push((session, Instant::now()));
        }
    }

    /// Closes all of them, because one was lost.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.sessions.clear();
        state.generation += 1;
    }

    /// Notes that another server may answer from here on.
    pub(super) fn begin_generation(&self) {
        self.state().generation += 1;
    }

    pub(super) fn generation(&self) -> u64 {
        self.state().generation
    }

    /// All that are idle now may be dead.
    pub(super) fn suspect(&self) {
        self.state().suspected = Some(Instant::now());
    }

    /// Takes no more, and gives up those that are there.
    pub(super) fn close(&self) -> Vec<Session> {
        let mut state = self.state();
        state.closed = true;
        std::mem::take(&mut state.sessions).into_iter().map(|(session, _)| session).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
