//! The channel between the JVM and core: it takes requests and returns answers, in frames of many.
//!
//! A call from the JVM costs the same however little it carries, so one call carries everything that waits. The JVM
//! submits requests with [`submit`], which never waits, and one of its threads takes the answers with [`take`]. Both get
//! a channel's number and not its address, so that a wrong number is an error and no crash. `native.rs` and `control.rs`
//! have the functions that the JVM calls, and its side is `Channel.kt`.
//!
//! When a channel ends, so do its calls, its stores and its readers; with the last one, the threads of this library end.
//!
//! A submitted frame has requests: call id (0: no answer wanted), operation, length, body. A drained frame has answers:
//! call id, 0 or 1 (failed), length, body. A log line of core is an answer too, so that it comes before the answer of the
//! call that wrote it.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, Once, PoisonError, RwLock};

use bindings_common::log;
use tokio::task::AbortHandle;

use crate::control::StartError;
use crate::error::Failure;
use crate::frame::{Reader, Writer};
use crate::operations;
use crate::runtime::SharedRuntime;
use crate::store::{Answer, Handles};

/// Withdraws a call: its future is dropped, and it gets no answer.
const CANCEL: u8 = 1;

/// The call id of a log line, which no call waits for.
const LINE: i64 = -1;

/// The size of an answer's head: call id, whether it failed, and the length of the body.
const ANSWER_HEAD_BYTES: usize = 8 + 1 + 4;

/// How many bytes of answers one frame has, except for a single larger answer.
const FRAME_BYTES: usize = 1024 * 1024;

/// The open channels, by number.
static CHANNELS: LazyLock<RwLock<HashMap<i64, Arc<Channel>>>> = LazyLock::new(RwLock::default);
static NUMBERS: AtomicI64 = AtomicI64::new(1);

/// A channel, shared with the tasks of its calls.
#[derive(Debug)]
struct Channel {
    runtime: SharedRuntime,
    handles: Handles,
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Debug, Default)]
struct State {
    calls: HashMap<i64, AbortHandle>,
    answers: VecDeque<Writer>,
    is_over: bool,
}

/// Begins a channel. Returns its number.
pub(crate) fn begin() -> Result<i64, StartError> {
    forward_lines();
    let channel = Channel {
        runtime: SharedRuntime::get()?,
        handles: Handles::default(),
        state: Mutex::default(),
        answered: Condvar::new(),
    };
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    CHANNELS.write().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::new(channel));
    Ok(number)
}

/// Takes a frame of requests, and never waits. Returns `None` if the channel is over, or if the frame cannot be read.
pub(crate) fn submit(number: i64, frame: &[u8]) -> Option<()> {
    channel(number)?.submit(frame).ok()
}

/// Waits for answers, and returns those that are ready. Returns `None` if the channel is over.
pub(crate) fn take(number: i64) -> Option<Vec<u8>> {
    channel(number)?.take()
}

/// How many calls are running, and how many stores and readers exist.
pub(crate) fn counts(number: i64) -> (usize, usize) {
    channel(number).map_or((0, 0), |channel| (channel.state().calls.len(), channel.handles.count()))
}

/// Ends a channel, with its calls, stores and readers. Who waits for its answers gets the end.
pub(crate) fn end(number: i64) {
    let ended = CHANNELS.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
    let Some(channel) = ended else { return };
    let calls = {
        let mut state = channel.state();
        state.is_over = true;
        std::mem::take(&mut state.calls)
    };
    channel.answered.notify_all();
    calls.into_values().for_each(|call| call.abort());
    channel.handles.clear();
    channel.runtime.release();
}

/// Begins to forward core's log lines.
fn forward_lines() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| log::forward(|line| tell(&line)));
}

/// Gives a log line to all channels: what core does for one handle, it can do for all of them.
fn tell(line: &log::Line) {
    let level = match line.level {
        log::Level::Error => 0,
        log::Level::Warn => 1,
        log::Level::Info => 2,
        log::Level::Debug => 3,
    };
    let text = line.text();
    let channels: Vec<_> = CHANNELS.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
    for channel in channels {
        let mut body = Writer::default();
        body.byte(level);
        body.text(&text);
        channel.answer(LINE, Ok(body));
    }
}

fn channel(number: i64) -> Option<Arc<Channel>> {
    CHANNELS.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
}

fn request<'a>(frame: &mut Reader<'a>) -> Result<(i64, u8, &'a [u8]), Failure> {
    Ok((frame.long()?, frame.byte()?, frame.bytes()?))
}

impl Channel {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails on a frame that cannot be read, which is a bug of this library.
    fn submit(self: &Arc<Self>, frame: &[u8]) -> Result<(), Failure> {
        let mut frame = Reader::new(frame);
        while !frame.is_empty() {
            let (call, operation, body) = request(&mut frame)?;
            if operation == CANCEL {
                self.cancel(call);
                continue;
            }
            match self.handles.prepare(operation, &mut Reader::new(body)) {
                Ok(Some(work)) => self.start(call, work),
                Ok(None) => {}
                Err(failure) => self.answer(call, Err(failure.of(operations::name(operation)))),
            }
        }
        Ok(())
    }

    fn take(&self) -> Option<Vec<u8>> {
        let nothing_yet = |state: &mut State| state.answers.is_empty() && !state.is_over;
        let mut state = self.answered.wait_while(self.state(), nothing_yet).unwrap_or_else(PoisonError::into_inner);
        let mut frame = state.answers.pop_front()?.0;
        while let Some(answer) = state.answers.front() {
            if frame.len() + answer.0.len() > FRAME_BYTES {
                break;
            }
            frame.extend_from_slice(&answer.0);
            state.answers.pop_front();
        }
        Some(frame)
    }

    fn start(self: &Arc<Self>, id: i64, work: impl Future<Output = Result<Answer, Failure>> + Send + 'static) {
        // Under the lock, so that the call is registered before its answer arrives.
        let mut state = self.state();
        let call = Call { shared: Arc::clone(self), id };
        let task = self.runtime.handle().spawn(async move {
            let outcome = work.await;
            call.end(outcome);
        });
        state.calls.insert(id, task.abort_handle());
    }

    fn cancel(&self, call: i64) {
        let task = self.state().calls.remove(&call);
        if let Some(task) = task {
            task.abort();
        }
    }

    fn answer(&self, call: i64, outcome: Result<Writer, Failure>) {
        let failed = outcome.is_err();
        let body = outcome.unwrap_or_else(|failure| {
            let mut body = Writer::default();
            failure.write(&mut body);
            body
        });
        let mut frame = Writer(Vec::with_capacity(body.0.len() + ANSWER_HEAD_BYTES));
        frame.long(call);
        frame.flag(failed);
        frame.bytes(&body.0);
        let mut state = self.state();
        state.answers.push_back(frame);
        let first = state.answers.len() == 1;
        drop(state);
        // The thread that takes answers takes all, so only the first one wakes it.
        if first {
            self.answered.notify_one();
        }
    }
}

/// A running call. If it ends without an answer, because of a panic, its answer is that.
struct Call {
    shared: Arc<Channel>,
    id: i64,
}

impl Call {
    fn end(self, outcome: Result<Answer, Failure>) {
        // Under the lock: a cancellation comes either before, and then an opened store is dropped here, or after, and
        // then it finds the store among the handles.
        let mut state = self.shared.state();
        if state.calls.remove(&self.id).is_some() {
            let outcome = outcome.map(|answer| self.shared.handles.keep(answer));
            drop(state);
            self.shared.answer(self.id, outcome);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.shared.state().calls.remove(&self.id).is_some() {
            self.shared.answer(self.id, Err(Failure::internal("the task of the call ended without an answer")));
        }
    }
}
