//! What is not known of earlier attempts at a write.

use super::attempt::Trouble;
use super::error::{Class, Failure, unknown};
use super::session::Backend;
use crate::error::Error;

/// Earlier attempts that may have committed.
///
/// An attempt stays in doubt after it has ended: only facts that are read after its end tell what it did. Until then
/// every refusal says that the outcome is unknown.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubt {
    /// Sessions that may still run an attempt.
    pub(super) running: Vec<Backend>,
    unresolved: bool,
}

impl Doubt {
    /// Takes note of a failed attempt.
    pub(super) fn note(&mut self, trouble: &Trouble) {
        if trouble.failure.class() == Class::Unknown
            && let Some(backend) = &trouble.backend
        {
            self.running.push(backend.clone());
            self.unresolved = true;
        }
    }

    /// Says that what is to be confirmed was found, and is not confirmed yet.
    pub(super) const fn found(&mut self) {
        self.unresolved = true;
    }

    /// Says that facts were read. If no attempt could still run then, they show what the attempts did.
    pub(super) const fn looked(&mut self, ended_before: bool) {
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
