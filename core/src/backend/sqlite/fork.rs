//! Makes it safe to fork a process while SQLite works on other threads.
//!
//! A forked child gets a copy of SQLite's global mutexes, but not the threads that would release them. A mutex that was
//! held at the fork would stay locked, and the child would hang when it opens a file. So the forking thread acquires
//! all of them before the fork, and releases them afterwards in both processes. Each is held for microseconds only,
//! never during a disk sync or a wait for a file lock.
//!
//! This is the only unsafe code in core: the mutexes have no safe API, and the hooks around `fork` are C functions.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::sync::{MutexGuard, Once};

use libsqlite3_sys as ffi;

use super::inherited::{OpenFiles, open_files};

/// The numbers of all global mutexes of SQLite; `sqlite3_mutex_alloc` knows no higher one.
const MUTEXES: std::ops::RangeInclusive<i32> = ffi::SQLITE_MUTEX_STATIC_MAIN..=ffi::SQLITE_MUTEX_STATIC_VFS3;

thread_local! {
    /// What the forking thread holds during the fork. The child runs a copy of that thread, which releases the copy.
static HELD: RefCell<Option<HeldMutexes>> = const { RefCell::new(None) };
}

/// Installs the hooks. SQLite must be initialised, so a connection must be open.
pub(super) fn prepare() {
    static HOOKS: Once = Once::new();
    HOOKS.call_once(|| {
        // SAFETY: the functions are static, do not unwind, and need no other thread. If memory runs out, no hooks are
        // installed, and a fork is only as unsafe as without them.
        let _ = unsafe { libc::pthread_atfork(Some(hold), Some(release), Some(release)) };
    });
}

extern "C" fn hold() {
    // An error means that the thread is ending, and such a thread does not fork.
    let _ = HELD.try_with(|held| held.replace(Some(HeldMutexes::acquire())));
}

extern "C" fn release() {
    let _ = HELD.try_with(|held| held.take());
}

/// While this exists, no other thread uses SQLite's global state or the list of open files.
struct HeldMutexes {
    mutexes: Vec<*mut ffi::sqlite3_mutex>,
    _open_files: MutexGuard<'static, OpenFiles>,
}

impl HeldMutexes {
    /// Tries to acquire all of them, and releases all if one is taken. Waiting for one while holding others could
    /// deadlock, because SQLite acquires them in its own order.
    fn acquire() -> Self {
        let mut held = Self { mutexes: Vec::with_capacity(MUTEXES.count()), _open_files: open_files() };
        while !held.try_all() {
            held.release();
            std::thread::yield_now();
        }
        held
    }

    fn try_all(&mut self) -> bool {
        MUTEXES.into_iter().all(|number| {
            // SAFETY: this only looks up a global mutex by its number. It exists for ever once SQLite is initialised.
            // In a build without mutexes it is null, which both functions accept as a mutex that is always free.
            let (mutex, taken) = unsafe {
                let mutex = ffi::sqlite3_mutex_alloc(number);
                (mutex, ffi::sqlite3_mutex_try(mutex) == ffi::SQLITE_OK)
            };
            if taken {
                self.mutexes.push(mutex);
            }
            taken
        })
    }

    fn release(&mut self) {
        for mutex in self.mutexes.drain(..).rev() {
            // SAFETY: this thread, or the thread it is a copy of, holds the mutex.
            unsafe { ffi::sqlite3_mutex_leave(mutex) };
        }
    }
}

impl Drop for HeldMutexes {
    fn drop(&mut self) {
        self.release();
    }
}
