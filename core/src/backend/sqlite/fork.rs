//! Forking a process in which SQLite works on other threads.
//!
//! A child gets a copy of SQLite's global mutexes as they stood at that instant, but not the threads that would release
//! them: one that was held, even to allocate memory, would stay so for ever, and the child would wait at its first
//! `open`. So whoever forks holds all of them for that instant, and both processes go on with free ones. They are held
//! for microseconds at a time; nobody keeps one while waiting for a disk's sync or a file's lock.
//!
//! The one place in core with unsafe code: the mutexes have no safe face, and the hooks around `fork` are C's.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::sync::{MutexGuard, Once};

use libsqlite3_sys as ffi;

use super::inherited::{Books, books};

/// Every global mutex SQLite has. The list ends where `sqlite3_mutex_alloc` knows none of a higher number.
const MUTEXES: std::ops::RangeInclusive<i32> = ffi::SQLITE_MUTEX_STATIC_MAIN..=ffi::SQLITE_MUTEX_STATIC_VFS3;

thread_local! {
    /// What the thread that forks holds while it does; its copy in the child is that thread too.
    static HELD: RefCell<Option<Still>> = const { RefCell::new(None) };
}

/// Takes care of forks from now on. Called once SQLite has been set up, that is, with a connection open.
pub(super) fn prepare() {
    static HOOKS: Once = Once::new();
    HOOKS.call_once(|| {
        // SAFETY: three functions that live as long as the program and neither unwind nor need more than the thread
        // they run on. Out of memory, there are no hooks, and forking is as it was without them.
        let _ = unsafe { libc::pthread_atfork(Some(hold), Some(release), Some(release)) };
    });
}

extern "C" fn hold() {
    // An error means that the thread is ending: nobody forks from there.
    let _ = HELD.try_with(|held| held.replace(Some(Still::reach())));
}

extern "C" fn release() {
    let _ = HELD.try_with(|held| held.take());
}

/// Nobody is inside SQLite's global state, nor inside our books of its files, while this lives.
struct Still {
    mutexes: Vec<*mut ffi::sqlite3_mutex>,
    _books: MutexGuard<'static, Books>,
}

impl Still {
    /// Tries for all at once and gives everything back where one is taken: SQLite has an order of its own for them, in
    /// which waiting could not end.
    fn reach() -> Self {
        let mut still = Self { mutexes: Vec::with_capacity(MUTEXES.count()), _books: books() };
        while !still.try_all() {
            still.leave();
            std::thread::yield_now();
        }
        still
    }

    fn try_all(&mut self) -> bool {
        MUTEXES.into_iter().all(|number| {
            // SAFETY: a global mutex is only looked up by its number, exists for ever once SQLite is set up, and is
            // null in a build without mutexes, which both functions take for one that is always free.
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

    fn leave(&mut self) {
        for mutex in self.mutexes.drain(..).rev() {
            // SAFETY: this thread, or the one it is a copy of, has entered it and not left it since.
            unsafe { ffi::sqlite3_mutex_leave(mutex) };
        }
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        self.leave();
    }
}
