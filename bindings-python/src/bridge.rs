//! Runs calls for an asyncio loop. The loop's own thread polls them: whatever wakes a call puts its number into a
//! mailbox and rings a bell, a socket that the loop reads. One ring is enough for many calls.
//!
//! No thread but the loop's own uses Python, so a result never waits for two threads to take turns.

use std::collections::HashMap;
use std::future::{Future, ready};
use std::io::{Read, Write};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};

use futures::FutureExt;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use tokio::task::JoinHandle;
use tracing::Dispatch;
use tracing::dispatcher::with_default;

use crate::engine::{Engine, Owned, locked};
use crate::error::{Failure, Result};
use crate::socket::{Socket, socket_number, socket_pair};

type Deliver = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// Runs calls for one asyncio loop, on the loop's thread.
#[pyclass(frozen, module = "streamkeep._native")]
pub(crate) struct Bridge(Owned<Arc<Calls>>);

/// The calls of one loop. It holds the loop weakly, because the waiting futures hold it themselves.
struct Calls {
    event_loop: Py<PyWeakrefReference>,
    running: Mutex<HashMap<u64, Running>>,
    next_number: AtomicU64,
    mailbox: Arc<Mailbox>,
    bell: Mutex<Socket>,
    /// Where core's log lines go.
    writer: Dispatch,
    /// Whether a call was answered at once since the loop last went on with calls.
    answered_at_once: AtomicBool,
}

struct Running {
    future: Py<PyAny>,
    work: Pin<Box<dyn Future<Output = Deliver> + Send>>,
    waker: Waker,
}

/// The numbers of the calls that can go on.
pub(crate) struct Mailbox {
    letters: Mutex<Letters>,
    rope: Socket,
}

#[derive(Default)]
struct Letters {
    ready: Vec<u64>,
    /// Whether the bell was rung. The loop then also sees the calls that are woken before it looks.
    rung: bool,
}

struct CallWaker {
    number: u64,
    mailbox: Arc<Mailbox>,
}

impl Wake for CallWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.mailbox.put(self.number);
    }
}

/// A running call: its asyncio future, and the means to abandon it.
#[pyclass(frozen, module = "streamkeep._native")]
pub(crate) struct Call {
    #[pyo3(get)]
    future: Py<PyAny>,
    number: u64,
    /// `None` if the call was answered at once. Weak, because the calls of a loop go with it, whoever keeps this.
    calls: Option<Owned<Weak<Calls>>>,
}

#[pymethods]
impl Call {
    /// Abandons the call. An append that still waits is withdrawn; one that was sent runs to its end.
    fn abandon(&self) {
        // A forked child has no calls of its parent.
        let Some(owned) = &self.calls else { return };
        let Some(calls) = owned.get().ok().and_then(Weak::upgrade) else { return };
        let _runtime = owned.engine().handle().enter();
        let abandoned = locked(&calls.running).remove(&self.number);
        drop(abandoned);
    }
}

#[pymethods]
impl Bridge {
    #[new]
    fn new(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        let engine = Engine::current(py)?;
        let (bell, rope) =
            socket_pair().map_err(|cause| Failure::internal(format!("a socket pair could not be made: {cause}")))?;
        let calls = Arc::new(Calls {
            event_loop: PyWeakrefReference::new(event_loop)?.unbind(),
            running: Mutex::default(),
            next_number: AtomicU64::new(0),
            mailbox: Arc::new(Mailbox { letters: Mutex::default(), rope }),
            bell: Mutex::new(bell),
            writer: engine.writer().clone(),
            answered_at_once: AtomicBool::new(false),
        });
        engine.log().ring_for(&calls.mailbox);
        Ok(Self(Owned::new(engine, calls)))
    }

    /// The file descriptor of the bell. When it can be read, the loop has to call `go_on`.
    fn fileno(&self) -> PyResult<i64> {
        Ok(socket_number(&locked(&self.0.get()?.bell)))
    }

    /// Goes on with the calls that were woken, and hands their results over. It does so for every call, whatever
    /// becomes of the others, and then raises the first error.
    fn go_on(&self, py: Python<'_>) -> PyResult<()> {
        let calls = self.0.get()?;
        let ready = calls.ready();
        let _runtime = self.0.engine().handle().enter();
        let went_on: Vec<PyResult<()>> = ready.into_iter().map(|number| calls.go_on(py, number)).collect();
        self.0.engine().log().hand_over(py);
        went_on.into_iter().collect()
    }
}

impl Bridge {
    /// Starts a call whose result is passed to the loop.
    pub(crate) fn start<'py, T, F, C>(&self, py: Python<'py>, work: F, convert: C) -> PyResult<Bound<'py, PyAny>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
        C: FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    {
        let calls = self.0.get()?;
        let engine = self.0.engine();
        let event_loop =
            calls.event_loop.bind(py).upgrade().ok_or_else(|| Failure::closed("the event loop no longer exists"))?;
        let asked = event_loop.call_method0("create_future")?.unbind();
        let work = AssertUnwindSafe(work).catch_unwind().map(move |outcome| -> Deliver {
            Box::new(move |py| match outcome {
                Ok(answer) => convert(py, answer?),
                Err(panic) => Err(Failure::panicked(panic.as_ref()).into()),
            })
        });
        let number = calls.next_number.fetch_add(1, Ordering::Relaxed);
        let waker = Waker::from(Arc::new(CallWaker { number, mailbox: Arc::clone(&calls.mailbox) }));
        let running = Running { future: asked.clone_ref(py), work: Box::pin(work), waker };
        let _runtime = engine.handle().enter();
        let goes_on = calls.begin(py, number, running)?;
        let calls = goes_on.then(|| Owned::new(Arc::clone(engine), Arc::downgrade(calls)));
        Ok(Call { future: asked, number, calls }.into_pyobject(py)?.into_any())
    }
}

impl Calls {
    /// Silences the bell, and takes the numbers of the calls that were woken.
    fn ready(&self) -> Vec<u64> {
        // Only one ring can wait, and its byte says nothing. Without one, another reader of the bell was faster.
        let _ = locked(&self.bell).read(&mut [0; 16]);
        self.answered_at_once.store(false, Ordering::Relaxed);
        self.mailbox.take()
    }

    /// Polls a new call, and hands its result over if there is one. Returns whether the call goes on.
    ///
    /// Awaiting a future that is done does not return to the loop. So of the calls that are ready at once, a second one
    /// is answered by the loop. Otherwise a coroutine that only makes such calls would let nothing else run.
    fn begin(&self, py: Python<'_>, number: u64, mut running: Running) -> PyResult<bool> {
        let Poll::Ready(deliver) = self.polled(&mut running) else {
            locked(&self.running).insert(number, running);
            return Ok(true);
        };
        if !self.answered_at_once.swap(true, Ordering::Relaxed) {
            return hand_over(py, running.future.bind(py), deliver).map(|()| false);
        }
        running.work = Box::pin(ready(deliver));
        locked(&self.running).insert(number, running);
        self.mailbox.put(number);
        Ok(true)
    }

    fn go_on(&self, py: Python<'_>, number: u64) -> PyResult<()> {
        // The lock is free during the poll and the hand-over, which run code of others.
        let running = locked(&self.running).remove(&number);
        // Without it, it was woken twice, or was abandoned meanwhile.
        let Some(mut running) = running else { return Ok(()) };
        match self.polled(&mut running) {
            Poll::Ready(deliver) => hand_over(py, running.future.bind(py), deliver),
            Poll::Pending => {
                locked(&self.running).insert(number, running);
                Ok(())
            }
        }
    }

    fn polled(&self, running: &mut Running) -> Poll<Deliver> {
        let waker = running.waker.clone();
        with_default(&self.writer, || running.work.as_mut().poll(&mut Context::from_waker(&waker)))
    }
}

impl Mailbox {
    fn put(&self, number: u64) {
        self.ring_with(Some(number));
    }

    /// Makes the loop go on, though no call can.
    pub(crate) fn ring(&self) {
        self.ring_with(None);
    }

    fn ring_with(&self, number: Option<u64>) {
        let mut letters = locked(&self.letters);
        letters.ready.extend(number);
        if !std::mem::replace(&mut letters.rung, true) {
            // It only fails if the loop has gone, and then no caller waits.
            let _ = (&self.rope).write(&[1]);
        }
    }

    fn take(&self) -> Vec<u64> {
        let mut letters = locked(&self.letters);
        letters.rung = false;
        std::mem::take(&mut letters.ready)
    }
}

/// Passes a result to the waiting future.
fn hand_over(py: Python<'_>, future: &Bound<'_, PyAny>, deliver: Deliver) -> PyResult<()> {
    // Setting the result of a cancelled future would be an error.
    if future.call_method0("done")?.is_truthy()? {
        return Ok(());
    }
    match std::panic::catch_unwind(AssertUnwindSafe(|| deliver(py))) {
        Ok(Ok(answer)) => future.call_method1("set_result", (answer,))?,
        Ok(Err(error)) => future.call_method1("set_exception", (error,))?,
        Err(panic) => future.call_method1("set_exception", (PyErr::from(Failure::panicked(panic.as_ref())),))?,
    };
    Ok(())
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

/// Runs work that computes for long, as opening and importing do, in a task: neither a loop nor the interpreter waits
/// for it. Dropping it ends the task.
pub(crate) async fn apart<T: Send + 'static>(
    engine: Arc<Engine>,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    struct Task<T>(JoinHandle<Result<T>>);
    impl<T> Drop for Task<T> {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let mut task = Task(engine.handle().spawn(work));
    match (&mut task.0).await {
        Ok(answer) => answer,
        Err(ended) => Err(match ended.try_into_panic() {
            Ok(panic) => Failure::panicked(panic.as_ref()),
            Err(_stopped) => Failure::closed("the interpreter is ending"),
        }),
    }
}
