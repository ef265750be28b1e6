//! The channel: requests in, answers out, in frames of many.
//!
//! A call of the host's costs tens of microseconds, however little it carries; so one carries all that waits. The host asks with [`NativeChannel::submit`], which never
//! waits, and one thread of its own takes the answers with [`NativeChannel::drain`]. Its twin is `Channel.kt`.
//!
//! A frame to submit holds requests: call id (0: no answer wanted), operation, length, body. A drained frame holds answers: call id, 0 or 1 (failed), length, body.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::error::{Failure, StartError};
use crate::frame::{Reader, Writer};
use crate::runtime;
use crate::store::{Answer, Handles};

/// Withdraws a call: its future is dropped, and nobody hears of it any more.
const CANCEL: u8 = 1;

/// Where the host and core meet.
#[derive(Debug, uniffi::Object)]
pub struct NativeChannel {
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
    answers: Vec<(i64, bool, Vec<u8>)>,
}

#[uniffi::export]
impl NativeChannel {
    /// Makes a channel on this process's runtime.
    #[uniffi::constructor]
    pub fn new() -> Result<Arc<Self>, StartError> {
        let runtime = runtime::handle().map_err(|cause| StartError::Runtime { reason: cause.to_string() })?;
        let shared = Shared { runtime, handles: Handles::default(), state: Mutex::default(), answered: Condvar::new() };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// The version of this half. The other half refuses one that is not its own.
    pub fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    /// Takes requests. Never waits.
    pub fn submit(&self, frame: Vec<u8>) {
        let mut frame = Reader::new(&frame);
        while !frame.is_empty() {
            // The rest of a frame that cannot be read cannot be answered either: the host made it, and its own tests would show it.
            let Ok((call, operation, body)) = request(&mut frame) else { return };
            if operation == CANCEL {
                self.shared.cancel(call);
                continue;
            }
            match self.shared.handles.prepare(operation, &mut Reader::new(body)) {
                Ok(Some(work)) => self.shared.start(call, work),
                Ok(None) => {}
                Err(failure) => self.shared.answer(call, Err(failure)),
            }
        }
    }

    /// Gives the answers there are; waits for the first of them, at most so many milliseconds.
    pub fn drain(&self, timeout_ms: i32) -> Vec<u8> {
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or_default());
        let nothing_yet = |state: &mut State| state.answers.is_empty();
        let waited = self.shared.answered.wait_timeout_while(self.shared.state(), timeout, nothing_yet);
        let answers = std::mem::take(&mut waited.unwrap_or_else(PoisonError::into_inner).0.answers);
        let mut frame = Writer::default();
        for (call, failed, body) in answers {
            frame.long(call);
            frame.flag(failed);
            frame.bytes(&body);
        }
        frame.0
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

fn request<'a>(frame: &mut Reader<'a>) -> Result<(i64, u8, &'a [u8]), Failure> {
    Ok((frame.long()?, frame.byte()?, frame.bytes()?))
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (failed, body) = match outcome {
            Ok(body) => (false, body),
            Err(failure) => {
                let mut body = Writer::default();
                failure.write(&mut body);
                (true, body)
            }
        };
        self.state().answers.push((call, failed, body.0));
        self.answered.notify_one();
    }
}

/// A call under way. One that ends without having answered, by a panic, answers that.
struct Call {
    shared: Arc<Shared>,
    id: i64,
}

impl Call {
    fn end(self, outcome: Result<Answer, Failure>) {
        // Under the lock: whoever cancels comes before, and an opened store is dropped here, or after, and then finds it among the handles.
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
