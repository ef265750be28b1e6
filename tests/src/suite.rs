//! Cases, and how to run them on each backend.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libtest_mimic::{Completion, Failed, Trial};

use crate::harness::{BACKENDS, Backend, Room};

/// The time limit of a case. A backend with a slow server gets a multiple of it.
pub(crate) const CASE_LIMIT: Duration = Duration::from_secs(60);

type Running = Pin<Box<dyn Future<Output = ()>>>;

/// One case of the suite, which runs in a new fixture of each backend and fails by a panic.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    run: fn(Room) -> Running,
    lacking: &'static [(Backend, &'static str)],
    inserts: Inserts,
}

/// How much a case inserts at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserts {
    Few,
    /// Thousands of events, which takes SecantusDB long.
    Thousands,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("lacking", &self.lacking).finish_non_exhaustive()
    }
}

impl Case {
    /// Registers a case; see [`cases!`](crate::cases).
    #[must_use]
    pub const fn new(name: &'static str, run: fn(Room) -> Running) -> Self {
        Self { name, run, lacking: &[], inserts: Inserts::Few }
    }

    /// Lists the backends on which the case cannot run, and why. They are printed as ignored, never left out silently.
    #[must_use]
    pub const fn lacking(mut self, lacking: &'static [(Backend, &'static str)]) -> Self {
        self.lacking = lacking;
        self
    }

    /// Says how much the case inserts at once.
    #[must_use]
    pub const fn inserts(mut self, inserts: Inserts) -> Self {
        self.inserts = inserts;
        self
    }

    /// The case's name, a sentence.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The case on every backend.
    pub fn trials(self) -> impl Iterator<Item = Trial> {
        BACKENDS.into_iter().map(move |backend| {
            let lack = self.lacking.iter().find(|(lacking, _)| *lacking == backend).map(|(_, reason)| *reason);
            on(backend, self.name, lack, self.inserts, self.run)
        })
    }
}

/// Registers cases where they are written, with what [`Case`] says of them:
/// `cases![name, second: lacking &[(Backend::Memory, "why")], third: inserts Inserts::Thousands]`.
#[macro_export]
macro_rules! cases {
    ($($name:ident $(: $says:ident $what:expr)?),* $(,)?) => {
        vec![$($crate::suite::Case::new(stringify!($name), |room| Box::pin($name(room)))$(.$says($what))?),*]
    };
}

/// A trial on a backend. If it cannot run there, it is ignored with the reason.
pub fn on<F>(backend: Backend, name: &str, lack: Option<&'static str>, inserts: Inserts, run: fn(Room) -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    trial(backend, name, lack, inserts, move |room| in_time(CASE_LIMIT * backend.patience(), run(room)))
}

/// A trial on a backend that brings its own runtime.
pub fn trial(
    backend: Backend,
    name: &str,
    lack: Option<&'static str>,
    inserts: Inserts,
    run: impl FnOnce(Room) + Send + 'static,
) -> Trial {
    Trial::ignorable_test(format!("{name} [{backend}]"), move || {
        if let Some(reason) = lack {
            return Ok(Completion::ignored_with(format!("not on {backend}: {reason}")));
        }
        if let Some(reason) = backend.missing() {
            return Ok(Completion::ignored_with(format!("SKIPPED: {reason}")));
        }
        let _slots = (backend == Backend::Mongodb).then(|| mongodb_slots(inserts));
        run(backend.room());
        Ok(Completion::Completed)
    })
}

/// Lets two MongoDB cases run at a time, and a case with long inserts alone. For each statement SecantusDB visits all
/// open transactions under one lock, and waits for the statement that each of them runs. An insert of 10,000 events was
/// seen to hold up every other transaction for 40 s.
fn mongodb_slots(inserts: Inserts) -> Vec<MutexGuard<'static, ()>> {
    static SLOTS: [Mutex<()>; 2] = [Mutex::new(()), Mutex::new(())];
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let all = inserts == Inserts::Thousands;
    let first = if all { 0 } else { NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS.len() };
    // A lock that was poisoned by a failed case protects no data.
    let lock = |slot: &'static Mutex<()>| slot.lock().unwrap_or_else(PoisonError::into_inner);
    SLOTS[first..].iter().take(if all { SLOTS.len() } else { 1 }).map(lock).collect()
}

/// A trial that needs no backend.
pub fn alone(name: &str, run: impl FnOnce() -> Result<(), String> + Send + 'static) -> Trial {
    Trial::test(name, move || run().map_err(Failed::from))
}

/// Runs a case on a new runtime, within a time limit.
///
/// # Panics
/// If the case panics or takes too long.
pub fn in_time(limit: Duration, case: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("the runtime starts");
    runtime.block_on(async {
        assert!(tokio::time::timeout(limit, case).await.is_ok(), "the case took longer than {limit:?}");
    });
    // Tasks that a failed case leaves behind must not delay the suite.
    runtime.shutdown_background();
}
