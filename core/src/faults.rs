//! Planted bugs and failpoints, for this workspace's own tests.
//!
//! A planted bug takes out one line of a mechanism, and a test must fail with it. Both exist only in a build with the
//! cfg `streamkeep_faults`. In every other build the two functions below are constants, and the compiler removes them.

#[cfg(not(streamkeep_faults))]
mod built {
    /// Whether the bug of that name is switched on. Never, in this build.
    #[inline]
    pub(crate) const fn planted(_name: &str) -> bool {
        false
    }

    /// A place where a test can pause the program. Does nothing in this build.
    #[inline]
    pub(crate) fn point(_name: &str) -> std::future::Ready<()> {
        std::future::ready(())
    }
}

#[cfg(streamkeep_faults)]
mod built {
    use std::collections::{HashMap, HashSet};
    use std::sync::{LazyLock, Mutex, PoisonError};
    use std::time::Duration;

    use tokio::sync::watch;

    static PLANTED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(|| {
        let names = std::env::var("STREAMKEEP_PLANTED").unwrap_or_default();
        Mutex::new(names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    });
    static POINTS: LazyLock<Mutex<HashMap<String, watch::Sender<Point>>>> = LazyLock::new(Mutex::default);

    #[derive(Clone, Copy, Debug, Default)]
    struct Point {
        hits: u64,
        waiting: u64,
        paused: bool,
        delay: Option<Duration>,
    }

    /// Whether the bug of that name is switched on: by `STREAMKEEP_PLANTED` (names with commas between) or by
    /// [`plant`].
    #[must_use]
    pub fn planted(name: &str) -> bool {
        PLANTED.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// Switches a planted bug on or off for the whole process.
    pub fn plant(name: &str, on: bool) {
        let mut names = PLANTED.lock().unwrap_or_else(PoisonError::into_inner);
        if on {
            names.insert(name.to_owned());
        } else {
            names.remove(name);
        }
    }

    /// A place where a test can pause the program. It waits only while a test pauses it.
    pub async fn point(name: &str) {
        let Some(mut state) = watched(name) else { return };
        update(name, |point| {
            point.hits += 1;
            point.waiting += 1;
        });
        let delay = state.borrow().delay;
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        // An error means that the table was dropped, so no test can pause any more.
        let _ = state.wait_for(|point| !point.paused).await;
        update(name, |point| point.waiting -= 1);
    }

    /// Every task that reaches the failpoint waits there until this is dropped.
    #[derive(Debug)]
    pub struct Paused(String);

    /// Pauses every task that reaches the failpoint from now on.
    #[must_use]
    pub fn pause(name: &str) -> Paused {
        update(name, |point| point.paused = true);
        Paused(name.to_owned())
    }

    impl Paused {
        /// Returns when a task waits at the failpoint.
        pub async fn reached(&self) {
            if let Some(mut state) = watched(&self.0) {
                let _ = state.wait_for(|point| point.waiting > 0).await;
            }
        }
    }

    impl Drop for Paused {
        fn drop(&mut self) {
            update(&self.0, |point| point.paused = false);
        }
    }

    /// Every task that reaches the failpoint waits there for this time. Zero switches it off.
    pub fn delay(name: &str, delay: Duration) {
        update(name, |point| point.delay = (!delay.is_zero()).then_some(delay));
    }

    /// How often the failpoint was reached since a test first used its name.
    #[must_use]
    pub fn hits(name: &str) -> u64 {
        watched(name).map_or(0, |state| state.borrow().hits)
    }

    fn watched(name: &str) -> Option<watch::Receiver<Point>> {
        POINTS.lock().unwrap_or_else(PoisonError::into_inner).get(name).map(watch::Sender::subscribe)
    }

    fn update(name: &str, change: impl FnOnce(&mut Point)) {
        let mut points = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
        points.entry(name.to_owned()).or_insert_with(|| watch::Sender::new(Point::default())).send_modify(change);
    }
}

#[cfg(streamkeep_faults)]
pub use built::*;
#[cfg(not(streamkeep_faults))]
#[allow(unused_imports, reason = "not every backend uses them")]
pub(crate) use built::{planted, point};
