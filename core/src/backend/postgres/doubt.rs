//! Tracks earlier attempts at a write whose outcome is unknown.

use super::attempt::FailedAttempt;
use super::error::{Class, Failure, unknown};
use super::session::Backend;
use crate::error::Error;

/// Earlier attempts that may have committed. An attempt stays in doubt after it has ended: only facts that are read
/// after its end show what it wrote. Until then every error says that the outcome is unknown.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubt {
    /// The server processes that may still run an attempt.
    pub(super) running: Vec<Backend>,
    unresolved: bool,
}

impl Doubt {
    /// Records a failed attempt.
    pub(super) fn note(&mut self, failed: &FailedAttempt) {
        if failed.failure.class() == Class::Unknown
            && let Some(backend) = &failed.backend
        {
            self.running.push(backend.clone());
            self.unresolved = true;
        }
    }

    /// Records that the facts show the events, which are not confirmed as durable yet.
    pub(super) const fn found_unconfirmed(&mut self) {
        self.unresolved = true;
    }

    /// Records that facts were read. They resolve the doubt if all attempts had ended before.
    pub(super) const fn facts_read(&mut self, ended_before: bool) {
        if ended_before {
            self.unresolved = false;
        }
    }

    pub(super) const fn is_none(&self) -> bool {
        !self.unresolved
    }

    /// Whether an attempt may still run.
    pub(super) const fn may_run(&self) -> bool {
        !self.running.is_empty()
    }

    /// The error of a write that ends with this failure.
    pub(super) fn error(&self, failure: Failure) -> Error {
        if self.unresolved { unknown(failure) } else { failure.into() }
    }
}
