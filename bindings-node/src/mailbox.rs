//! Runs the calls of JavaScript. JavaScript's own thread polls them: whatever wakes a call puts its number into a mailbox
//! and rings a bell, the environment's thread-safe function. One ring is enough for many calls, and one JavaScript
//! callback gets all answers that are ready. Log lines come the same way.
//!
//! No other thread makes JavaScript values, so an answer never waits for two threads to take turns.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Wake, Waker};

use napi::bindgen_prelude::{Array, FnArgs, Function, FunctionRef, Null, ToNapiValue};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status, sys};
use napi_derive::napi;
use tokio::runtime::Runtime;

use crate::call::{Call, call};
use crate::error::{Failure, internal};
use crate::log::{Lines, LogLine, forward_to};
use crate::runtime::runtime;

/// Takes an array with three elements for each answer: the number of the call, its result, and its error as JSON, which
/// is null if there is a result. Then it takes log lines.
pub type Settle = FunctionRef<Given, ()>;
/// What JavaScript's function is given.
pub type Given = FnArgs<(Answers, Vec<LogLine>)>;
type Bell = ThreadsafeFunction<(), (), (), Status, false, true>;

/// The calls of one copy of the package in one environment.
///
/// It belongs to the environment's thread. When the environment ends, the calls end with it, and whatever would have
/// woken them finds nobody.
#[napi]
pub struct NativeMailbox(Rc<Calls>);

/// The calls that run, by number.
pub struct Calls {
    running: RefCell<HashMap<u32, Running>>,
    /// Only held while JavaScript waits for answers, so that it does not keep the copy of the package alive by itself.
    settle: RefCell<Option<Settle>>,
    /// The same function, while the application wants log lines, waiting or not.
    listening: RefCell<Option<Settle>>,
    letters: Arc<Letters>,
}

struct Running {
    call: Box<dyn Call>,
    waker: Waker,
}

/// What other threads have to say to the calls.
pub(crate) struct Letters {
    ready: Mutex<Ready>,
    /// Set before the first call starts.
    bell: OnceLock<Bell>,
}

#[derive(Default)]
struct Ready {
    numbers: Vec<u32>,
    lines: Lines,
    /// Whether the bell was rung. JavaScript then also sees the calls that are woken before it looks.
    rung: bool,
}

/// The calls that have ended, which are converted to an array.
pub struct Answers(Vec<(u32, Box<dyn Call>)>);

struct CallWaker {
    number: u32,
    letters: Arc<Letters>,
}

#[napi]
impl NativeMailbox {
    /// Makes a mailbox without calls.
    ///
    /// # Errors
    /// If the environment is ending.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: &Env) -> napi::Result<Self> {
        let letters = Arc::new(Letters { ready: Mutex::default(), bell: OnceLock::new() });
        let calls = Rc::new(Calls {
            running: RefCell::default(),
            settle: RefCell::default(),
            listening: RefCell::default(),
            letters,
        });
        let weak = Rc::downgrade(&calls);
        let look: Function<'_, (), ()> = env.create_function_from_closure("streamkeep", move |context| {
            weak.upgrade().map_or(Ok(()), |calls| calls.go_on(context.env))
        })?;
        let bell = look.build_threadsafe_function::<()>().weak::<true>().build_callback(|_| Ok(()))?;
        // It is new, so nobody has set it.
        let _ = calls.letters.bell.set(bell);
        forward_to(Arc::downgrade(&calls.letters));
        Ok(Self(calls))
    }

    /// Gives answers to this function from now on, and keeps the event loop alive until `release`.
    ///
    /// # Errors
    /// If the environment is ending.
    #[napi(catch_unwind)]
    pub fn hold(&self, env: &Env, settle: Settle) -> napi::Result<()> {
        self.0.settle.replace(Some(settle));
        self.0.letters.ring_for_lines();
        self.0.letters.keep_loop_alive(env, true)
    }

    /// Ends what `hold` began.
    ///
    /// # Errors
    /// If the environment is ending.
    #[napi(catch_unwind)]
    pub fn release(&self, env: &Env) -> napi::Result<()> {
        self.0.settle.take();
        self.0.letters.keep_loop_alive(env, false)
    }

    /// Gives log lines to this function, or to nobody but who holds the mailbox. It does not keep the event loop alive.
    #[napi(catch_unwind)]
    pub fn listen(&self, settle: Option<Settle>) {
        self.0.listening.replace(settle);
        self.0.letters.ring_for_lines();
    }

    /// Abandons a call. An append that still waits is withdrawn; one that was sent runs to its end.
    ///
    /// # Errors
    /// If the runtime could not be started.
    #[napi(catch_unwind)]
    pub fn abandon(&self, number: u32) -> napi::Result<()> {
        let _runtime = runtime()?.enter();
        let abandoned = self.0.running.borrow_mut().remove(&number);
        drop(abandoned);
        Ok(())
    }

    /// The calls, for what they are made on.
    #[must_use]
    pub fn calls(&self) -> &Rc<Calls> {
        &self.0
    }
}

impl Calls {
    /// Starts a call, whose answer has this number. Its result is converted on JavaScript's thread.
    ///
    /// # Errors
    /// If the runtime could not be started.
    pub fn start<T, E, V>(
        &self,
        number: u32,
        convert: impl FnOnce(T) -> V + 'static,
        future: impl Future<Output = Result<T, E>> + 'static,
    ) -> napi::Result<()>
    where
        T: 'static,
        E: Into<Failure> + 'static,
        V: ToNapiValue + 'static,
    {
        let _runtime = runtime()?.enter();
        let mut running = Running {
            call: call(convert, future),
            waker: Waker::from(Arc::new(CallWaker { number, letters: Arc::clone(&self.letters) })),
        };
        if running.go_on() {
            // JavaScript gets no answer before its call has returned.
            running.waker.wake_by_ref();
        }
        self.running.borrow_mut().insert(number, running);
        Ok(())
    }

    /// Goes on with the calls that were woken, and gives JavaScript the answers of those that have ended.
    fn go_on(&self, env: &Env) -> napi::Result<()> {
        let _runtime = runtime()?.enter();
        let mut ended = Vec::new();
        for number in self.letters.take() {
            // One that is not there was woken twice, or was abandoned meanwhile.
            let Some(mut running) = self.running.borrow_mut().remove(&number) else { continue };
            if running.go_on() {
                ended.push((number, running.call));
            } else {
                self.running.borrow_mut().insert(number, running);
            }
        }
        // Without a function nobody waits for an answer, and the lines stay. It may be released while it runs.
        let Some(settle) = self.settle(env)? else { return Ok(()) };
        let lines = self.letters.ready().lines.take();
        if ended.is_empty() && lines.is_empty() {
            return Ok(());
        }
        settle.call((Answers(ended), lines).into())
    }

    fn settle<'env>(&self, env: &'env Env) -> napi::Result<Option<Function<'env, Given, ()>>> {
        let (settle, listening) = (self.settle.borrow(), self.listening.borrow());
        settle.as_ref().or(listening.as_ref()).map(|settle| settle.borrow_back(env)).transpose()
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        let _runtime = runtime().map(Runtime::enter);
        self.running.get_mut().clear();
    }
}

impl Running {
    fn go_on(&mut self) -> bool {
        self.call.go_on(&mut Context::from_waker(&self.waker))
    }
}

impl Letters {
    fn put(&self, number: u32) {
        let mut ready = self.ready();
        ready.numbers.push(number);
        self.ring(ready);
    }

    pub(crate) fn put_line(&self, line: LogLine) {
        let mut ready = self.ready();
        ready.lines.put(line);
        self.ring(ready);
    }

    fn ring_for_lines(&self) {
        let ready = self.ready();
        if ready.lines.are_there() {
            self.ring(ready);
        }
    }

    fn ring(&self, mut ready: MutexGuard<'_, Ready>) {
        if std::mem::replace(&mut ready.rung, true) {
            return;
        }
        drop(ready);
        if let Some(bell) = self.bell.get() {
            // It only fails if the environment has gone, and then nobody waits.
            bell.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    fn take(&self) -> Vec<u32> {
        let mut ready = self.ready();
        ready.rung = false;
        std::mem::take(&mut ready.numbers)
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_loop_alive(&self, env: &Env, keep: bool) -> napi::Result<()> {
        let Some(bell) = self.bell.get() else { return Ok(()) };
        bell.handle.with_read_aborted(|gone| {
            if gone {
                return Ok(());
            }
            let change = if keep { sys::napi_ref_threadsafe_function } else { sys::napi_unref_threadsafe_function };
            // SAFETY: this is the thread of the environment that made the function, and the function is not gone: only
            // this thread ends it, and it marks it before.
            match unsafe { change(env.raw(), bell.raw()) } {
                sys::Status::napi_ok => Ok(()),
                _ => Err(internal("the event loop could not be told about a call").into()),
            }
        })
    }
}

impl Wake for CallWaker {
    fn wake(self: Arc<Self>) {
        self.letters.put(self.number);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.letters.put(self.number);
    }
}

impl ToNapiValue for Answers {
    unsafe fn to_napi_value(env: sys::napi_env, answers: Self) -> napi::Result<sys::napi_value> {
        let environment = Env::from_raw(env);
        let mut list = environment.create_array(0)?;
        for (number, call) in answers.0 {
            let at = list.len();
            list.set(at, number)?;
            if let Err(failure) = call.answer(&mut list, at + 1) {
                list.set(at + 1, Null)?;
                list.set(at + 2, failure.into_json())?;
            }
        }
        // SAFETY: the caller has given its own environment.
        unsafe { Array::to_napi_value(env, list) }
    }
}
