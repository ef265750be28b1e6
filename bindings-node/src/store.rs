//! The store. Its methods are generated; here is what they have in common.

mod generated;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use napi_derive::napi;
use streamkeep::{EventStore, OpenOptions};

use crate::convert::{millis, optional};
use crate::error::internal;
use crate::iteration::{Counted, NativeIteration, Of};
use crate::mailbox::{Calls, NativeMailbox};
use crate::runtime::{apart, drop_there};

/// An open store.
#[napi]
pub struct NativeStore {
    store: Option<EventStore>,
    calls: Rc<Calls>,
    iterations: Arc<AtomicU32>,
}

/// Opens a store with the options of `open`.
fn opening(mailbox: &NativeMailbox, call: u32, options: OpenOptions) -> napi::Result<()> {
    let calls = Rc::clone(mailbox.calls());
    let convert = |store| NativeStore { store: Some(store), calls, iterations: Arc::default() };
    mailbox.calls().start(call, convert, apart(options.open())?)
}

impl NativeStore {
    fn store(&self) -> napi::Result<EventStore> {
        self.store.clone().ok_or_else(|| internal("the store no longer exists").into())
    }

    /// The store, with the timeout of one call.
    fn store_within(&self, timeout_ms: Option<i64>) -> napi::Result<EventStore> {
        let store = self.store()?;
        Ok(match optional("timeout_ms", timeout_ms, millis)? {
            None => store,
            Some(timeout) => store.with_timeout(timeout),
        })
    }

    fn iteration(&self, of: Of) -> NativeIteration {
        NativeIteration::new(of, Counted::one_of(&self.iterations), Rc::clone(&self.calls))
    }
}

#[napi]
impl NativeStore {
    /// How many reads and subscriptions exist, for the tests of this package.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations.load(Ordering::SeqCst)
    }
}

impl Drop for NativeStore {
    fn drop(&mut self) {
        drop_there(self.store.take());
    }
}
