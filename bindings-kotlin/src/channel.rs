//! The channel: requests in, answers out, in frames of many.
//!
//! A call of the host's has its price however little it carries; so one carries all that waits. The host asks with
//! [`streamkeep_submit`], which never waits, and one thread of its own takes the answers with [`streamkeep_drain`].
//! These two are plain C functions, because UniFFI's way over costs ten times as much; they take a channel's number,
//! not its address, so that a wrong one is an answer and no crash. Its twin is `Channel.kt`.
//!
//! A frame to submit holds requests: call id (0: no answer wanted), operation, length, body. A drained frame holds
//! answers: call id, 0 or 1 (failed), length, body.

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

/// Withdraws a call: its future is dropped, and nobody hears of it any more.
const CANCEL: u8 = 1;

/// What the C functions answer when there is no such channel, or something panicked.
const LOST: i32 = i32::MIN;

/// Call id, whether it failed, and the length of what follows.
const ANSWER_HEAD_BYTES: usize = 8 + 1 + 4;

/// The channels there are, by number.
static CHANNELS: LazyLock<RwLock<HashMap<i64, Arc<Shared>>>> = LazyLock::new(RwLock::default);
static NUMBERS: AtomicI64 = AtomicI64::new(1);

/// Where the host and core meet.
#[derive(Debug, uniffi::Object)]
pub struct NativeChannel {
    number: i64,
    shared: Arc<Shared>,
}

/// What the channel and the tasks of its calls share.
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
    /// Makes a channel on this process's runtime.
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

    /// What the C functions know it by.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// The version of this half. The other half refuses one that is not its own.
    pub fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    /// Makes so many event ids, 16 bytes each.
    pub fn new_ids(&self, count: i32) -> Vec<u8> {
        (0..count).flat_map(|_| streamkeep::new_id().into_bytes()).collect()
    }

    /// How many calls are under way.
    pub fn calls(&self) -> i32 {
        i32::try_from(self.shared.state().calls.len()).unwrap_or(i32::MAX)
    }

    /// How many stores and readers there are.
    pub fn handles(&self) -> i32 {
        i32::try_from(self.shared.handles.count()).unwrap_or(i32::MAX)
    }
}

impl Drop for NativeChannel {
    fn drop(&mut self) {
        CHANNELS.write().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// Takes a frame of requests. Never waits. Answers 0, or the lowest integer when the channel is lost.
///
/// # Safety
/// `frame` must point at `length` bytes that stay as they are during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn streamkeep_submit(channel: i64, frame: *const u8, length: i32) -> i32 {
    let Ok(length) = usize::try_from(length) else { return LOST };
    // SAFETY: the caller's promise.
    let frame = unsafe { std::slice::from_raw_parts(frame, length) };
    with_channel(channel, |channel| if channel.submit(frame).is_ok() { 0 } else { LOST })
}

/// Writes the answers there are into `buffer`, as many as it has room for; waits for the first of them, at most so many
/// milliseconds.
///
/// Answers how many bytes were written; when the buffer is too small for the next answer, minus how many it takes; the
/// lowest integer when the channel is lost.
///
/// # Safety
/// `buffer` must point at `capacity` bytes that nobody else uses during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn streamkeep_drain(channel: i64, buffer: *mut u8, capacity: i32, timeout_ms: i32) -> i32 {
    let (Ok(capacity), Ok(timeout)) = (usize::try_from(capacity), u64::try_from(timeout_ms)) else { return LOST };
    // SAFETY: the caller's promise.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, capacity) };
    with_channel(channel, |channel| channel.drain(buffer, Duration::from_millis(timeout)))
}

/// A panic must not leave by a C function.
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

    /// Fails on a frame that cannot be read, which the two halves' own fault would be.
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
        // Under the lock, so that an answer cannot come before its call is known.
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
        // Whoever drains takes everything: only the first answer has somebody to wake.
        if first {
            self.answered.notify_one();
        }
    }
}

/// A call under way. One that ends without having answered, by a panic, answers that.
struct Call {
    shared: Arc<Shared>,
    id: i64,
}

impl Call {
    fn end(self, outcome: Result<Answer, Failure>) {
        // Under the lock: whoever cancels comes before, and an opened store is dropped here, or after, and then finds
        // it among the handles.
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
