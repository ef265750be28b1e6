//! The idle connections of a pool: which to use next, and which to close.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::session::Session;

/// Firewalls and proxies may cut a connection that is idle for longer, so it is closed instead of used.
const IDLE: Duration = Duration::from_secs(240);

/// The idle connections of a pool.
#[derive(Debug, Default)]
pub(super) struct Idle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Each with the time since when it is idle. The one that came back last is used first.
    sessions: Vec<(Session, Instant)>,
    /// Connections idle since before this time are checked before they are used.
    suspected: Option<Instant>,
    closed: bool,
    /// Grows with each connection that is made or lost, because the server may then be one restored from a backup.
    generation: u64,
}

/// An idle connection, taken out to be used.
pub(super) struct Taken {
    pub(super) session: Session,
    /// Whether it must be checked first, because a deadline passed on another connection.
    pub(super) suspect: bool,
}

impl Idle {
    pub(super) fn take(&self) -> Option<Taken> {
        let mut state = self.state();
        let (session, since) = state.sessions.pop()?;
        if since.elapsed() >= IDLE {
            // The connections below it have been idle for even longer.
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

    /// Closes all idle connections, because one was lost.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.sessions.clear();
        state.generation += 1;
    }

    /// Records that another server may answer from now on.
    pub(super) fn begin_generation(&self) {
        self.state().generation += 1;
    }

    pub(super) fn generation(&self) -> u64 {
        self.state().generation
    }

    /// Records that all connections that are idle now may be dead.
    pub(super) fn suspect(&self) {
        self.state().suspected = Some(Instant::now());
    }

    /// Accepts no more connections, and returns those that are idle.
    pub(super) fn close(&self) -> Vec<Session> {
        let mut state = self.state();
        state.closed = true;
        std::mem::take(&mut state.sessions).into_iter().map(|(session, _)| session).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
