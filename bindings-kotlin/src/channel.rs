//! The channel between the JVM and core: it takes requests and returns answers, in frames of many.
//!
//! A call from the JVM costs the same however little it carries, so one call carries everything that waits. The JVM
//! submits requests with [`streamkeep_submit`], which never waits, and one of its threads takes the answers with
//! [`streamkeep_drain`]. Both are plain C functions, because a call by UniFFI costs ten times as much. They take a
//! channel's number and not its address, so that a wrong number is an error and no crash. The JVM's side is
//! `Channel.kt`.
//!
//! A submitted frame has requests: call id (0: no answer wanted), operation, length, body. A drained frame has answers:
//! call id, 0 or 1 (failed), length, body.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::error::{Failure, StartError};
use crate::frame::{Reader, Writer};
use crate::runtime;
use crate::store::{Answer, Handles};

/// Withdraws a call: its future is dropped, and it gets no answer.
const CANCEL: u8 = 1;

/// The result of the C functions if the channel does not exist or something panicked.
const LOST: i32 = i32::MIN;

/// The size of an answer's head: call id, whether it failed, and the length of the body.
const ANSWER_HEAD_BYTES: usize = 8 + 1 + 4;

/// The open channels, by number.
static CHANNELS: LazyLock<RwLock<HashMap<i64, Arc<Shared>>>> = LazyLock::new(RwLock::default);
static NUMBERS: AtomicI64 = AtomicI64::new(1);

/// A channel, as UniFFI exports it.
#[derive(Debug, uniffi::Object)]
pub struct NativeChannel {
    number: i64,
    shared: Arc<Shared>,
}

/// Shared by the channel and the tasks of its calls.
#[derive(Debug)]
pub(crate) struct Shared {
    runtime: Handle,
    handles: Handles,
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Debug, Default)]
struct State {
    calls: HashMap<i64, AbortHandle>,
    answers: VecDeque<Writer>,
}

#[uniffi::export]
impl NativeChannel {
    /// Makes a channel on the runtime of this process.
    #[uniffi::constructor]
    pub fn new() -> Result<Arc<Self>, StartError> {
        let runtime = runtime::handle().map_err(|cause| StartError::Runtime { reason: cause.to_string() })?;
        let shared = Arc::new(Shared {
            runtime,
            handles: Handles::default(),
            state: Mutex::default(),
            answered: Condvar::new(),
        });
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        CHANNELS.write().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::clone(&shared));
        Ok(Arc::new(Self { number, shared }))
    }

    /// The channel's number, for the C functions.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// The version of this library. Kotlin refuses another version than its own.
    pub fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    /// Makes `count` event ids, 16 bytes each.
    pub fn new_ids(&self, count: i32) -> Vec<u8> {
        (0..count).flat_map(|_| streamkeep::new_id().into_bytes()).collect()
    }

    /// How many calls are running.
    pub fn calls(&self) -> i32 {
        i32::try_from(self.shared.state().calls.len()).unwrap_or(i32::MAX)
    }

    /// How many stores and readers exist.
    pub fn handles(&self) -> i32 {
        i32::try_from(self.shared.handles.count()).unwrap_or(i32::MAX)
    }
}

impl Drop for NativeChannel {
    fn drop(&mut self) {
        CHANNELS.write().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// Takes a frame of requests, and never waits. Returns 0, or the lowest integer if the channel is lost.
///
/// # Safety
/// `frame` must point to `length` bytes that do not change during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn streamkeep_submit(channel: i64, frame: *const u8, length: i32) -> i32 {
    let Ok(length) = usize::try_from(length) else { return LOST };
    // SAFETY: the caller guarantees it.
    let frame = unsafe { std::slice::from_raw_parts(frame, length) };
    with_channel(channel, |channel| if channel.submit(frame).is_ok() { 0 } else { LOST })
}

/// Writes the ready answers into `buffer`, as many as fit. It waits for the first one, but not longer than the given
/// milliseconds.
///
/// Returns the number of bytes written; if the buffer is too small for the next answer, minus its size; the lowest
/// integer if the channel is lost.
///
/// # Safety
/// `buffer` must point to `capacity` bytes that nothing else uses during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn streamkeep_drain(channel: i64, buffer: *mut u8, capacity: i32, timeout_ms: i32) -> i32 {
    let (Ok(capacity), Ok(timeout)) = (usize::try_from(capacity), u64::try_from(timeout_ms)) else { return LOST };
    // SAFETY: the caller guarantees it.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, capacity) };
    with_channel(channel, |channel| channel.drain(buffer, Duration::from_millis(timeout)))
}

/// Catches panics, which must not leave a C function.
fn with_channel(number: i64, work: impl FnOnce(&Arc<Shared>) -> i32) -> i32 {
    let channel = CHANNELS.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned();
    channel.map_or(LOST, |channel| catch_unwind(AssertUnwindSafe(|| work(&channel))).unwrap_or(LOST))
}

fn request<'a>(frame: &mut Reader<'a>) -> Result<(i64, u8, &'a [u8]), Failure> {
    Ok((frame.long()?, frame.byte()?, frame.bytes()?))
}

impl Shared {
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
                Err(failure) => self.answer(call, Err(failure)),
            }
        }
        Ok(())
    }

    fn drain(&self, buffer: &mut [u8], timeout: Duration) -> i32 {
        let nothing_yet = |state: &mut State| state.answers.is_empty();
        let waited = self.answered.wait_timeout_while(self.state(), timeout, nothing_yet);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let mut room = buffer;
        let mut written = 0;
        while let Some(answer) = state.answers.front() {
            let size = answer.0.len();
            let Some((place, rest)) = std::mem::take(&mut room).split_at_mut_checked(size) else {
                return if written == 0 { -i32::try_from(size).unwrap_or(i32::MAX) } else { written };
            };
            place.copy_from_slice(&answer.0);
            room = rest;
            written += i32::try_from(size).unwrap_or(i32::MAX);
            state.answers.pop_front();
        }
        written
    }

    fn start(self: &Arc<Self>, id: i64, work: impl Future<Output = Result<Answer, Failure>> + Send + 'static) {
        // Under the lock, so that the call is registered before its answer arrives.
        let mut state = self.state();
        let call = Call { shared: Arc::clone(self), id };
        let task = self.runtime.spawn(async move {
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
        // The draining thread takes all answers, so only the first one wakes it.
        if first {
            self.answered.notify_one();
        }
    }
}

/// A running call. If it ends without an answer, because of a panic, its answer is that.
struct Call {
    shared: Arc<Shared>,
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
