//! Whether a unit of an import may be stored although its call failed.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::faults::planted;

/// Follows the attempts to write one unit. A later attempt can fail before it looks for what an earlier one has written.
#[derive(Clone, Debug, Default)]
pub(super) struct ImportDoubt(Arc<AtomicBool>);

impl ImportDoubt {
    /// Makes one attempt.
    pub(super) async fn attempt<T>(&self, import: impl Future<Output = Result<T>>) -> Result<T> {
        // It stays set if the attempt panics.
        let earlier = self.0.swap(true, Ordering::AcqRel);
        let answer = import.await;
        let in_doubt = match &answer {
            Ok(_) => false,
            Err(error) => error.outcome() == Outcome::Unknown || (earlier && !is_decided(error)),
        };
        self.0.store(in_doubt, Ordering::Release);
        answer
    }

    /// The error for the caller. Past the deadline the unit may still be written, whatever its last attempt said.
    pub(super) fn told(&self, error: Error) -> Error {
        let in_doubt = self.0.load(Ordering::Acquire) || error.worth_a_retry();
        if in_doubt && !planted("import-denies-sent") { error.with_outcome(Outcome::Unknown) } else { error }
    }
}

/// Whether the events were compared with what is stored, after the earlier attempts had ended.
fn is_decided(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict { .. } | ErrorKind::DuplicateEvent { .. })
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;
    use crate::version::ExpectedVersion;

    /// The outcome that is told after attempts that end in these ways.
    async fn told(attempts: &[Error]) -> Outcome {
        let doubt = ImportDoubt::default();
        for error in attempts {
            assert!(doubt.attempt(ready(Err::<(), _>(error.clone()))).await.is_err());
        }
        attempts.last().map_or(Outcome::NotApplied, |last| doubt.told(last.clone()).outcome())
    }

    #[tokio::test]
    async fn only_a_decision_ends_the_doubt_of_an_earlier_attempt() {
        let unknown = Error::unavailable("lost").with_outcome(Outcome::Unknown);
        let removed = Error::corrupt("sqlite", "removed");
        let full = Error::unavailable("full").at_once();
        let conflict = Error::conflict("s-1", ExpectedVersion::Exact(1), 2);
        assert_eq!(told(std::slice::from_ref(&removed)).await, Outcome::NotApplied);
        assert_eq!(told(std::slice::from_ref(&full)).await, Outcome::NotApplied);
        assert_eq!(told(&[unknown.clone(), removed.clone()]).await, Outcome::Unknown);
        assert_eq!(told(&[unknown.clone(), full, removed]).await, Outcome::Unknown);
        assert_eq!(told(&[unknown, conflict]).await, Outcome::NotApplied);
    }

    #[tokio::test]
    async fn an_attempt_that_panics_is_in_doubt() {
        let doubt = ImportDoubt::default();
        let attempt = doubt.clone();
        let task = tokio::spawn(async move { attempt.attempt::<()>(async { panic!("a planted panic") }).await });
        assert!(task.await.is_err_and(|error| error.is_panic()));
        assert_eq!(doubt.told(Error::internal("a task of the store panicked")).outcome(), Outcome::Unknown);
    }
}
