//! Passes results from the runtime's threads to an asyncio loop. Results wait in a mailbox, and one wake-up of the loop
//! empties it.
//!
//! Only the waker's thread and the loop's own thread use Python; the workers of the runtime never do.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use tokio::task::AbortHandle;

use crate::engine::{Engine, Owned, locked};
use crate::error::{Failure, Result};

type Deliver = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// Passes results back to one asyncio loop.
#[pyclass(frozen, module = "streamkeep._native")]
pub(crate) struct Bridge(Owned<Arc<Mailbox>>);

/// The results for one loop. It holds the loop weakly, because the waiting futures hold it themselves.
pub(crate) struct Mailbox {
    event_loop: Py<PyWeakrefReference>,
    letters: Mutex<Letters>,
}

#[derive(Default)]
struct Letters {
    waiting: Vec<Letter>,
    /// Whether a wake-up was sent. It also takes the results that arrive before it runs.
    rung: bool,
}

struct Letter {
    future: Py<PyAny>,
    deliver: Deliver,
}

/// A running call: its asyncio future, and the means to abandon it.
#[pyclass(frozen, module = "streamkeep._native")]
pub(crate) struct Call {
    #[pyo3(get)]
    future: Py<PyAny>,
    /// `None` if the call was answered at once.
    task: Option<AbortHandle>,
}

#[pymethods]
impl Call {
    /// Abandons the call. An append that still waits is withdrawn; one that was sent runs to its end.
    fn abandon(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[pymethods]
impl Bridge {
    #[new]
    fn new(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        let event_loop = PyWeakrefReference::new(event_loop)?.unbind();
        let mailbox = Arc::new(Mailbox { event_loop, letters: Mutex::default() });
        Ok(Self(Owned::new(Engine::current(py)?, mailbox)))
    }
}

impl Bridge {
    /// Starts a call whose result is passed to the loop.
    pub(crate) fn start<'py, T, F, C>(&self, py: Python<'py>, future: F, convert: C) -> PyResult<Bound<'py, PyAny>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
        C: FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    {
        let mailbox = Arc::clone(self.0.get()?);
        let engine = Arc::clone(self.0.engine());
        let event_loop =
            mailbox.event_loop.bind(py).upgrade().ok_or_else(|| Failure::closed("the event loop no longer exists"))?;
        let asked = event_loop.call_method0("create_future")?.unbind();
        let answered = asked.clone_ref(py);
        let mut future = Box::pin(AssertUnwindSafe(future).catch_unwind());
        // A result that is ready needs no other thread: a page read ahead, or one whose first caller was cancelled.
        let at_once = {
            let _runtime = engine.handle().enter();
            future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        if let Poll::Ready(outcome) = at_once {
            let answer = outcome.map_err(|panic| Failure::panicked(panic.as_ref())).and_then(|answer| answer);
            Letter { future: answered, deliver: Box::new(|py| convert(py, answer?)) }.hand_over(py)?;
            return Ok(Call { future: asked, task: None }.into_pyobject(py)?.into_any());
        }
        let task = engine.clone().handle().spawn(async move {
            let outcome = future.await;
            let deliver: Deliver = Box::new(move |py| match outcome {
                Ok(answer) => convert(py, answer?),
                Err(panic) => Err(Failure::panicked(panic.as_ref()).into()),
            });
            if mailbox.put(Letter { future: answered, deliver }) {
                engine.wake(mailbox);
            }
        });
        Ok(Call { future: asked, task: Some(task.abort_handle()) }.into_pyobject(py)?.into_any())
    }
}

impl Mailbox {
    /// Adds a result. Returns whether the loop must be woken.
    fn put(&self, letter: Letter) -> bool {
        let mut letters = locked(&self.letters);
        letters.waiting.push(letter);
        !std::mem::replace(&mut letters.rung, true)
    }

    fn take(&self) -> Vec<Letter> {
        let mut letters = locked(&self.letters);
        letters.rung = false;
        std::mem::take(&mut letters.waiting)
    }

    /// Wakes the loop, which then empties the mailbox. Runs on the waker's thread.
    pub(crate) fn ring(self: Arc<Self>) {
        let rung = Python::try_attach(|py| -> PyResult<()> {
            if let Some(event_loop) = self.event_loop.bind(py).upgrade() {
                if event_loop.call_method0("is_closed")?.is_truthy()? {
                    self.take();
                } else {
                    event_loop.call_method1("call_soon_threadsafe", (Drain(Arc::clone(&self)),))?;
                }
            }
            Ok(())
        });
        if let Some(Err(_closed_meanwhile)) = rung {
            // On a closed loop no caller waits.
            self.take();
        }
    }
}

/// The callback that the loop runs after a wake-up.
#[pyclass(frozen, module = "streamkeep._native")]
pub(crate) struct Drain(Arc<Mailbox>);

#[pymethods]
impl Drain {
    /// Hands over every result, whatever becomes of the others, and then raises the first error.
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let handed_over: Vec<PyResult<()>> = self.0.take().into_iter().map(|letter| letter.hand_over(py)).collect();
        handed_over.into_iter().collect()
    }
}

impl Letter {
    /// Passes the result to the waiting future.
    fn hand_over(self, py: Python<'_>) -> PyResult<()> {
        let future = self.future.bind(py);
        // Setting the result of a cancelled future would be an error.
        if future.call_method0("done")?.is_truthy()? {
            return Ok(());
        }
        match std::panic::catch_unwind(AssertUnwindSafe(|| (self.deliver)(py))) {
            Ok(Ok(answer)) => future.call_method1("set_result", (answer,))?,
            Ok(Err(error)) => future.call_method1("set_exception", (error,))?,
            Err(panic) => future.call_method1("set_exception", (PyErr::from(Failure::panicked(panic.as_ref())),))?,
        };
        Ok(())
    }
}

/// Runs a call: on the calling thread, or for the loop of the bridge if one is given.
pub(crate) fn run<'py, T, F, C>(
    py: Python<'py>,
    bridge: Option<&Bound<'py, Bridge>>,
    engine: &Engine,
    future: F,
    convert: C,
) -> PyResult<Bound<'py, PyAny>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
    C: FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
{
    match bridge {
        Some(bridge) => bridge.get().start(py, future, convert),
        None => {
            let answer = engine.wait(py, future)?;
            let answer = std::panic::catch_unwind(AssertUnwindSafe(|| convert(py, answer)))
                .unwrap_or_else(|panic| Err(Failure::panicked(panic.as_ref()).into()));
            Ok(answer?.into_bound(py))
        }
    }
}
