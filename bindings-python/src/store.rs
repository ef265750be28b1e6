//! The store: one native method for each operation. Without a bridge it blocks the calling thread; with one, the result
//! goes to the bridge's loop.
//!
//! The methods are generated; here is what they have in common.

mod generated;

use std::sync::Arc;

use pyo3::prelude::*;
use streamkeep::{EventStore, OpenOptions};

use crate::bridge::{Bridge, apart, run};
use crate::convert::{optional, seconds};
use crate::engine::{Engine, Owned};

pub(crate) use self::generated::open;

type Maybe<'a, 'py> = Option<&'a Bound<'py, PyAny>>;
type For<'a, 'py> = Option<&'a Bound<'py, Bridge>>;

/// An open store.
#[pyclass(frozen, module = "streamkeep._native")]
pub(crate) struct Store(Owned<Handle>);

/// Closes a store that was not closed, in the background, when Python frees it.
struct Handle {
    store: EventStore,
    engine: Arc<Engine>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.store.is_closed() {
            let store = self.store.clone();
            self.engine.handle().spawn(async move { store.close().await });
        }
    }
}

/// Opens a store with the options of `open`.
fn opening<'py>(py: Python<'py>, bridge: For<'_, 'py>, options: OpenOptions) -> PyResult<Bound<'py, PyAny>> {
    let engine = Engine::current(py)?;
    let owner = Arc::clone(&engine);
    // Wrapped at once, so that the store is closed even if its caller was cancelled.
    let opening = async move {
        let store = options.open().await?;
        Ok(Handle { store, engine: Arc::clone(&owner) })
    };
    let opening = apart(Arc::clone(&engine), opening);
    run(py, bridge, &engine, opening, |py, handle| {
        let engine = Arc::clone(&handle.engine);
        Ok(Store(Owned::new(engine, handle)).into_pyobject(py)?.into_any().unbind())
    })
}

impl Store {
    fn store(&self) -> PyResult<EventStore> {
        Ok(self.0.get()?.store.clone())
    }

    /// The store for a call with a timeout of its own.
    fn store_for(&self, timeout: Maybe<'_, '_>) -> PyResult<EventStore> {
        let store = self.store()?;
        Ok(optional("timeout", timeout, seconds)?.map_or_else(|| store.clone(), |timeout| store.with_timeout(timeout)))
    }
}
