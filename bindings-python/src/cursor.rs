//! Cursors: the pages of a read or the batches of a subscription, which Python pulls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pyo3::prelude::*;
use streamkeep::{Events, RecordedEvent, Stopper, Subscription};

use crate::bridge::{Bridge, run};
use crate::convert;
use crate::engine::{Engine, Owned, locked};
use crate::error::{Failure, Result, during};

/// The events of a read or a subscription, pulled in batches.
#[pyclass(frozen, module = "streamkeep._native")]
pub(crate) struct Cursor {
    inner: Owned<Arc<Inner>>,
    stopper: Owned<Option<Stopper>>,
    /// The method that made it, which its errors name.
    operation: &'static str,
}

struct Inner {
    source: tokio::sync::Mutex<Source>,
    /// A batch that was pulled and not returned yet. If its caller was cancelled, the next caller gets it.
    kept: Mutex<Option<Result<Option<Pulled>>>>,
}

enum Source {
    Events(Events),
    Subscription(Subscription),
}

#[derive(Default)]
struct Pulled {
    events: Vec<RecordedEvent>,
    caught_up: bool,
}

#[pymethods]
impl Cursor {
    /// Returns the next batch as (events, caught up); `None` at the end; no events and not caught up after the timeout.
    #[pyo3(signature = (bridge, timeout=None))]
    fn next<'py>(
        &self,
        py: Python<'py>,
        bridge: Option<&Bound<'py, Bridge>>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        during(py, self.operation, || {
            let patience = convert::optional("timeout", timeout, convert::seconds)?;
            let inner = Arc::clone(self.inner.get()?);
            let hand_over = Arc::clone(&inner);
            run(py, bridge, self.inner.engine(), inner.pull(patience), move |py, late| {
                if late {
                    return Ok((convert::recorded(py, &[])?, false).into_pyobject(py)?.into_any().unbind());
                }
                let pulled = locked(&hand_over.kept)
                    .take()
                    .unwrap_or_else(|| Err(Failure::internal("a batch was returned twice".to_owned())));
                match pulled? {
                    Some(Pulled { events, caught_up }) => {
                        Ok((convert::recorded(py, &events)?, caught_up).into_pyobject(py)?.into_any().unbind())
                    }
                    None => Ok(py.None()),
                }
            })
        })
    }

    /// Ends a subscription, from any thread. It has no effect on a read.
    fn stop(&self) -> PyResult<()> {
        if let Some(stopper) = self.stopper.get()? {
            stopper.stop();
        }
        Ok(())
    }
}

impl Cursor {
    /// Fails at once if the arguments of the read are refused.
    pub(crate) fn of_events(engine: &Arc<Engine>, operation: &'static str, events: Events) -> Result<Self> {
        match events.refusal() {
            Some(refusal) => Err(refusal.into()),
            None => Ok(Self::new(engine, operation, Source::Events(events), None)),
        }
    }

    /// Fails at once if the arguments of the subscription are refused.
    pub(crate) fn of_subscription(engine: &Arc<Engine>, subscription: Subscription) -> Result<Self> {
        if let Some(refusal) = subscription.refusal() {
            return Err(refusal.into());
        }
        let stopper = subscription.stopper();
        Ok(Self::new(engine, "subscribe", Source::Subscription(subscription), Some(stopper)))
    }

    fn new(engine: &Arc<Engine>, operation: &'static str, source: Source, stopper: Option<Stopper>) -> Self {
        let inner = Arc::new(Inner { source: tokio::sync::Mutex::new(source), kept: Mutex::new(None) });
        Self {
            inner: Owned::new(Arc::clone(engine), inner),
            stopper: Owned::new(Arc::clone(engine), stopper),
            operation,
        }
    }
}

impl Inner {
    /// Pulls a batch if none is kept. Returns whether the timeout passed first.
    async fn pull(self: Arc<Self>, patience: Option<Duration>) -> Result<bool> {
        match patience {
            None => self.fill().await,
            Some(patience) => return Ok(tokio::time::timeout(patience, self.fill()).await.is_err()),
        }
        Ok(false)
    }

    async fn fill(&self) {
        let mut source = self.source.lock().await;
        if locked(&self.kept).is_some() {
            return;
        }
        let pulled = match &mut *source {
            Source::Events(events) => {
                events.next_page().await.map(|page| page.map(|events| Pulled { events, caught_up: false }))
            }
            Source::Subscription(subscription) => subscription
                .next_batch()
                .await
                .map(|batch| batch.map(|batch| Pulled { events: batch.events, caught_up: batch.caught_up })),
        };
        *locked(&self.kept) = Some(pulled.map_err(Failure::from));
    }
}
