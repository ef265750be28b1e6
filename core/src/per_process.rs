//! Global state that a forked child must not share with its parent.

use std::sync::OnceLock;

/// One value for each process. A forked child gets a fresh one: another thread of the parent may have held a lock of
/// the parent's value at the fork, and what that value refers to belongs to the parent.
pub(crate) struct PerProcess<T> {
    first: OnceLock<Box<Owned<T>>>,
}

struct Owned<T> {
    process_id: u32,
    value: T,
    child: OnceLock<Box<Owned<T>>>,
}

impl<T: Default> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self { first: OnceLock::new() }
    }

    /// The value of the process that runs now.
    pub(crate) fn get(&self) -> &T {
        let process_id = std::process::id();
        let mut place = &self.first;
        loop {
            let owned =
                place.get_or_init(|| Box::new(Owned { process_id, value: T::default(), child: OnceLock::new() }));
            if owned.process_id == process_id {
                return &owned.value;
            }
            place = &owned.child;
        }
    }
}
