//! The runtime of this process. It is made when it is first needed, and stopped before the interpreter ends. A forked
//! child does not touch its parent's.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Thread, ThreadId};
use std::time::{Duration, Instant};

use futures::FutureExt;
use pyo3::prelude::*;
use tokio::runtime::{Handle, Runtime};
use tracing::Dispatch;
use tracing::dispatcher::{set_default, with_default};

use crate::error::{Failure, Result};
use crate::log::{self, Log};

/// How often a blocked caller checks for signals (Ctrl-C) and for the end of the interpreter.
const TICK: Duration = Duration::from_millis(50);
/// How long the end of the interpreter waits for the callers, then for the runtime.
const PATIENCE: Duration = Duration::from_millis(1000);

/// Only threads attached to the interpreter lock this, and they never detach while they hold it. A forking thread is
/// attached too, so a child never finds it locked.
///
/// The same holds for every lock of this crate: nobody waits for the interpreter with one in hand. An interpreter that
/// ends lets no other thread attach again, so the lock would stay locked, and its next owner would wait for ever.
static ENGINE: Mutex<Option<Arc<Engine>>> = Mutex::new(None);

pub(crate) struct Engine {
    process_id: u32,
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
    log: Arc<Log>,
    /// Where core's log lines go: to `log`.
    writer: Dispatch,
    /// The thread that ends the interpreter, after the end has begun.
    leaver: OnceLock<ThreadId>,
    callers: Mutex<usize>,
    no_callers: Condvar,
}

impl Engine {
    /// The engine of this process.
    pub(crate) fn current(_attached: Python<'_>) -> Result<Arc<Self>> {
        let engine = Self::of_this_process()?;
        // A daemon thread stays inside this check when the interpreter ends, so it must not hold the lock any more.
        engine.check()?;
        Ok(engine)
    }

    fn of_this_process() -> Result<Arc<Self>> {
        let mut slot = locked(&ENGINE);
        if let Some(engine) = slot.as_ref().filter(|engine| engine.process_id == std::process::id()) {
            return Ok(Arc::clone(engine));
        }
        let engine = Arc::new(Self::start()?);
        if let Some(parents) = slot.replace(Arc::clone(&engine)) {
            // Its threads do not exist in this process. Dropping it would wait for them.
            std::mem::forget(parents);
        }
        Ok(engine)
    }

    fn start() -> Result<Self> {
        let no_threads =
            |cause: std::io::Error| Failure::internal(format!("the runtime's threads could not be started: {cause}"));
        let lines = Arc::new(Log::default());
        // Set for each thread and each poll, and not for the process, in which others may log, too.
        let writer = log::writer(Arc::clone(&lines));
        let of_each_thread = writer.clone();
        let runtime = bindings_common::runtime::builder()
            .map_err(|wrong| Failure::config(wrong.to_string()))?
            .on_thread_start(move || std::mem::forget(set_default(&of_each_thread)))
            .build()
            .map_err(no_threads)?;
        Ok(Self {
            process_id: std::process::id(),
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
            log: lines,
            writer,
            leaver: OnceLock::new(),
            callers: Mutex::new(0),
            no_callers: Condvar::new(),
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn writer(&self) -> &Dispatch {
        &self.writer
    }

    /// Checks that this process and thread can use the engine.
    pub(crate) fn check(&self) -> Result<()> {
        if self.process_id != std::process::id() {
            return Err(Failure::closed("the store is closed")
                .with_hint("the store was opened before the process was forked: open one in the child process"));
        }
        match self.leaver.get() {
            None => Ok(()),
            Some(leaver) if *leaver == std::thread::current().id() => Err(Failure::closed("the interpreter is ending")),
            // A daemon thread: an exception would have no handler.
            Some(_) => Python::attach(|py| py.detach(|| stay_away())),
        }
    }

    /// Waits for a future on the calling thread, detached from the interpreter except to check for signals.
    pub(crate) fn wait<T: Send>(&self, py: Python<'_>, future: impl Future<Output = Result<T>> + Send) -> PyResult<T> {
        self.check()?;
        let caller = Caller::enter(self);
        let mut future = std::pin::pin!(AssertUnwindSafe(future).catch_unwind());
        let parked = Arc::new(Parked { thread: std::thread::current(), woken: AtomicBool::new(false) });
        loop {
            let outcome = py.detach(|| {
                let outcome = self.poll_for_a_tick(future.as_mut(), &parked);
                if self.leaver.get().is_some() {
                    caller.leave();
                    stay_away();
                }
                outcome
            });
            self.log.hand_over(py);
            match outcome {
                Some(Ok(answer)) => return Ok(answer?),
                Some(Err(panic)) => return Err(Failure::panicked(panic.as_ref()).into()),
                None => py.check_signals()?,
            }
        }
    }

    /// Polls a future on the calling thread, which is parked in between. Returns `None` after a while, so that the
    /// caller can check for signals.
    fn poll_for_a_tick<F: Future>(&self, mut future: Pin<&mut F>, parked: &Arc<Parked>) -> Option<F::Output> {
        let _runtime = self.handle.enter();
        let waker = Waker::from(Arc::clone(parked));
        let until = Instant::now() + TICK;
        loop {
            let polled = with_default(&self.writer, || future.as_mut().poll(&mut Context::from_waker(&waker)));
            if let Poll::Ready(outcome) = polled {
                return Some(outcome);
            }
            while !parked.woken.swap(false, Ordering::Acquire) {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                std::thread::park_timeout(left);
            }
        }
    }

    /// Stops the engine of this process. The hook for the end of the interpreter, which waits a bounded time.
    pub(crate) fn stop(py: Python<'_>) {
        let Some(engine) = locked(&ENGINE).clone().filter(|engine| engine.process_id == std::process::id()) else {
            return;
        };
        if engine.leaver.set(std::thread::current().id()).is_err() {
            return;
        }
        py.detach(|| {
            // The callers inside come first, because their timers stop with the runtime.
            let callers = locked(&engine.callers);
            drop(engine.no_callers.wait_timeout_while(callers, PATIENCE, |callers| *callers > 0));
            if let Some(runtime) = locked(&engine.runtime).take() {
                runtime.shutdown_timeout(PATIENCE);
            }
        });
    }
}

/// A thread that is parked until its call can go on.
struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// A thread inside a blocking call.
struct Caller<'a>(&'a Engine);

impl<'a> Caller<'a> {
    fn enter(engine: &'a Engine) -> Self {
        *locked(&engine.callers) += 1;
        Self(engine)
    }

    fn leave(&self) {
        let mut callers = locked(&self.0.callers);
        *callers -= 1;
        self.0.no_callers.notify_all();
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Blocks a daemon thread that would return into an ending interpreter, which would kill it in the middle of native
/// code.
fn stay_away() -> ! {
    loop {
        std::thread::park();
    }
}

/// A value of the process that made it. A forked child can neither use nor drop it.
pub(crate) struct Owned<T> {
    engine: Arc<Engine>,
    value: Option<T>,
}

impl<T> Owned<T> {
    pub(crate) fn new(engine: Arc<Engine>, value: T) -> Self {
        Self { engine, value: Some(value) }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn get(&self) -> Result<&T> {
        self.engine.check()?;
        self.value.as_ref().ok_or_else(|| Failure::closed("the value was already dropped"))
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        let value = self.value.take();
        if self.engine.process_id == std::process::id() {
            // Dropped inside the runtime, which a store may need to end.
            let _runtime = self.engine.handle.enter();
            drop(value);
        } else {
            std::mem::forget(value);
        }
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}
