//! One open handle: its claim on a namespace, its options, and the tasks that run its calls.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle as Runtime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::database::{Claim, Database};
use crate::deadline::{deadline_in, until};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::namespace::Namespace;
use crate::options::OpenOptions;
use crate::url::Location;

/// An open handle: what its clones, readers and tasks share.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) options: OpenOptions,
    pub(crate) engine: Engine,
    claim: Mutex<Option<Claim>>,
    /// Cancelled once the claim is given up.
    freed: CancellationToken,
}

impl Handle {
    pub(crate) async fn open(options: OpenOptions) -> Result<Self> {
        let runtime = Runtime::try_current().map_err(|_| {
            Error::config("no tokio runtime is running").with_hint("await `open` inside a tokio runtime")
        })?;
        let location = Location::read(options)?;
        let options = location.options.clone();
        let deadline = deadline_in(options.timeout);
        let opening = {
            let runtime = runtime.clone();
            async move { Database::open(&location, &runtime, deadline).await }
        };
        let claim = match until(&runtime, deadline, runtime.spawn(opening)).await {
            Some(Ok(claim)) => claim?,
            Some(Err(panic)) => return Err(Error::internal("opening the store panicked").with_cause(panic)),
            None => return Err(Error::unavailable("the deadline passed while the store was being opened")),
        };
        let namespace = Arc::clone(&claim.namespace);
        let claim = Mutex::new(Some(claim));
        Ok(Self { namespace, options, engine: Engine::new(runtime), claim, freed: CancellationToken::new() })
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        self.engine.check_open()
    }

    /// The deadline of a call that begins now: its own timeout, or else the store's.
    pub(crate) fn deadline(&self, timeout: Option<Duration>) -> Instant {
        deadline_in(timeout.unwrap_or(self.options.timeout))
    }

    /// Runs work on the namespace in a task; see [`Engine::run`].
    pub(crate) async fn run<T, F, W>(&self, deadline: Instant, work: W) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
        W: Fn(Arc<Namespace>) -> F + Send + Sync + 'static,
    {
        let namespace = Arc::clone(&self.namespace);
        self.engine.run(deadline, move || work(Arc::clone(&namespace))).await
    }

    /// Waits for this handle's calls, then gives up its claim. The last handle frees the database.
    pub(crate) async fn close(&self) {
        if self.engine.forked() {
            return;
        }
        self.engine.close().await;
        if let Some(claim) = self.take_claim() {
            // In a task, because closing is work on the database too. If it panics, nothing is left to free.
            let freed = self.freed.clone().drop_guard();
            self.engine.runtime.spawn(async move {
                claim.release().await;
                drop(freed);
            });
        }
        // An earlier close may have begun this, and its caller may have gone.
        self.freed.cancelled().await;
    }

    fn take_claim(&self) -> Option<Claim> {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let Some(claim) = self.take_claim() else { return };
        if self.engine.forked() {
            // Connections and files belong to the parent: a forked child never touches them.
            std::mem::forget(claim);
            return;
        }
        // Work that nobody waits for runs to its end, and its namespace is open until then.
        let ended = self.engine.end();
        self.engine.runtime.spawn(async move {
            ended.await;
            claim.release().await;
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{Notify, mpsc};
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn a_namespace_is_open_until_work_that_nobody_waits_for_has_ended() -> Result<()> {
        let handle = Handle::open(OpenOptions::new("memory:")).await?;
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, mut told) = mpsc::unbounded_channel();
        let signals = (Arc::clone(&begun), Arc::clone(&go_on));
        let mut call = Box::pin(handle.run(handle.deadline(None), move |namespace| {
            let ((begun, go_on), tell) = (signals.clone(), tell.clone());
            async move {
                begun.notify_one();
                go_on.notified().await;
                // The test fails if it is gone.
                let _ = tell.send(namespace.is_closed());
                Ok(())
            }
        }));
        tokio::select! {
            ended = &mut call => ended?,
            () = begun.notified() => {}
        }
        drop(call);
        drop(handle);
        for _ in 0..100 {
            yield_now().await;
        }
        go_on.notify_one();
        assert_eq!(told.recv().await, Some(false));
        Ok(())
    }
}
