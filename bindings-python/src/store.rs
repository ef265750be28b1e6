//! The store: one native method for each operation. Without a bridge it blocks the calling thread; with one, the result
//! goes to the bridge's loop.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyList;
use streamkeep::{
    AppendOptions, Durability, EventStore, OpenOptions, ReadAllOptions, ReadOptions, ReadPageOptions, Start,
    SubscribeOptions,
};

use crate::bridge::{Bridge, apart, run};
use crate::convert::{self, number, optional, seconds, text};
use crate::cursor::Cursor;
use crate::engine::{Engine, Owned};
use crate::error::{Failure, during};

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

/// Opens a store.
#[pyfunction]
#[pyo3(signature = (bridge, url, *, namespace=None, create=None, durability=None, timeout=None, poll_interval=None, max_connections=None, insecure=None))]
#[expect(clippy::too_many_arguments, reason = "each option of open is an argument")]
pub(crate) fn open<'py>(
    py: Python<'py>,
    bridge: For<'_, 'py>,
    url: &Bound<'py, PyAny>,
    namespace: Maybe<'_, 'py>,
    create: Option<bool>,
    durability: Maybe<'_, 'py>,
    timeout: Maybe<'_, 'py>,
    poll_interval: Maybe<'_, 'py>,
    max_connections: Maybe<'_, 'py>,
    insecure: Option<bool>,
) -> PyResult<Bound<'py, PyAny>> {
    during(py, "open", || {
        let mut options = OpenOptions::new(text("url", url)?);
        if let Some(namespace) = namespace {
            options = options.namespace(text("namespace", namespace)?);
        }
        if let Some(create) = create {
            options = options.create(create);
        }
        if let Some(durability) = durability {
            options = options.durability(match text("durability", durability)?.as_str() {
                "full" => Durability::Full,
                "relaxed" => Durability::Relaxed,
                _ => return Err(Failure::config("durability must be 'full' or 'relaxed'".to_owned()).into()),
            });
        }
        if let Some(timeout) = timeout {
            options = options.timeout(seconds("timeout", timeout)?);
        }
        if let Some(poll_interval) = poll_interval {
            options = options.poll_interval(seconds("poll_interval", poll_interval)?);
        }
        if let Some(connections) = max_connections {
            let connections = number("max_connections", connections)?;
            options = options.max_connections(
                u32::try_from(connections).map_err(|_| Failure::config("max_connections is too large".to_owned()))?,
            );
        }
        if let Some(insecure) = insecure {
            options = options.insecure(insecure);
        }
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
    })
}

#[pymethods]
impl Store {
    #[pyo3(signature = (bridge, stream, events, expected, timeout))]
    fn append<'py>(
        &self,
        py: Python<'py>,
        bridge: For<'_, 'py>,
        stream: &Bound<'py, PyAny>,
        events: &Bound<'py, PyList>,
        expected: &Bound<'py, PyAny>,
        timeout: Maybe<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        during(py, "append", || {
            let store = self.store()?;
            let (stream, events) = (text("stream", stream)?, convert::events(events)?);
            let options = AppendOptions {
                expected: convert::expected(expected)?,
                timeout: optional("timeout", timeout, seconds)?,
            };
            let appending = async move { Ok(store.append(stream, events, options).await?) };
            run(py, bridge, self.0.engine(), appending, |py, at| {
                Ok((at.version, at.position, at.repeated).into_pyobject(py)?.into_any().unbind())
            })
        })
    }

    #[pyo3(signature = (bridge, events, timeout))]
    fn import_events<'py>(
        &self,
        py: Python<'py>,
        bridge: For<'_, 'py>,
        events: &Bound<'py, PyList>,
        timeout: Maybe<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        during(py, "import_events", || {
            let store = self.store_for(timeout)?;
            let events = convert::imports(events)?;
            let importing = async move { Ok(store.import_events(events).await?) };
            let importing = apart(Arc::clone(self.0.engine()), importing);
            run(py, bridge, self.0.engine(), importing, |py, done| {
                Ok((done.imported, done.passed_over, done.position).into_pyobject(py)?.into_any().unbind())
            })
        })
    }

    #[pyo3(signature = (stream, from_version, to_version, direction, limit, timeout))]
    fn read<'py>(
        &self,
        stream: &Bound<'py, PyAny>,
        from_version: &Bound<'py, PyAny>,
        to_version: Maybe<'_, 'py>,
        direction: &Bound<'py, PyAny>,
        limit: Maybe<'_, 'py>,
        timeout: Maybe<'_, 'py>,
    ) -> PyResult<Cursor> {
        during(stream.py(), "read", || {
            let options = ReadOptions {
                from_version: number("from_version", from_version)?,
                to_version: optional("to_version", to_version, number)?.unwrap_or(u64::MAX),
                direction: convert::direction(direction)?,
                limit: optional("limit", limit, number)?,
                timeout: optional("timeout", timeout, seconds)?,
            };
            Ok(Cursor::of_events(self.0.engine(), "read", self.store()?.read(text("stream", stream)?, options))?)
        })
    }

    #[pyo3(signature = (after, before, query, direction, limit, timeout))]
    fn read_all<'py>(
        &self,
        after: &Bound<'py, PyAny>,
        before: Maybe<'_, 'py>,
        query: &Bound<'py, PyAny>,
        direction: &Bound<'py, PyAny>,
        limit: Maybe<'_, 'py>,
        timeout: Maybe<'_, 'py>,
    ) -> PyResult<Cursor> {
        during(after.py(), "read_all", || {
            let options = ReadAllOptions {
                after: number("after", after)?,
                before: optional("before", before, number)?,
                query: convert::query(query)?,
                direction: convert::direction(direction)?,
                limit: optional("limit", limit, number)?,
                timeout: optional("timeout", timeout, seconds)?,
            };
            Ok(Cursor::of_events(self.0.engine(), "read_all", self.store()?.read_all(options))?)
        })
    }

    #[pyo3(signature = (bridge, after, query, limit, timeout))]
    fn read_page<'py>(
        &self,
        py: Python<'py>,
        bridge: For<'_, 'py>,
        after: &Bound<'py, PyAny>,
        query: &Bound<'py, PyAny>,
        limit: Maybe<'_, 'py>,
        timeout: Maybe<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        during(py, "read_page", || {
            let store = self.store()?;
            let options = ReadPageOptions {
                after: number("after", after)?,
                query: convert::query(query)?,
                limit: optional("limit", limit, number)?,
                timeout: optional("timeout", timeout, seconds)?,
            };
            let reading = async move { Ok(store.read_page(options).await?) };
            run(py, bridge, self.0.engine(), reading, |py, page| {
                Ok((convert::recorded(py, &page.events)?, page.reached, page.caught_up)
                    .into_pyobject(py)?
                    .into_any()
                    .unbind())
            })
        })
    }

    #[pyo3(signature = (query, start, after))]
    fn subscribe<'py>(
        &self,
        query: &Bound<'py, PyAny>,
        start: Maybe<'_, 'py>,
        after: Maybe<'_, 'py>,
    ) -> PyResult<Cursor> {
        during(query.py(), "subscribe", || {
            let start = match optional("start", start, text)?.as_deref() {
                None => None,
                Some("beginning") => Some(Start::Beginning),
                Some("now") => Some(Start::Now),
                Some(_) => return Err(Failure::argument("start", "start must be 'beginning' or 'now'").into()),
            };
            let options =
                SubscribeOptions { query: convert::query(query)?, start, after: optional("after", after, number)? };
            let store = self.store()?;
            // The subscription's poll interval needs the runtime.
            let _runtime = self.0.engine().handle().enter();
            Ok(Cursor::of_subscription(self.0.engine(), store.subscribe(options))?)
        })
    }

    #[pyo3(signature = (bridge, snapshot, timeout))]
    fn save_snapshot<'py>(
        &self,
        py: Python<'py>,
        bridge: For<'_, 'py>,
        snapshot: &Bound<'py, PyAny>,
        timeout: Maybe<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        during(py, "save_snapshot", || {
            let store = self.store_for(timeout)?;
            let snapshot = convert::snapshot(snapshot)?;
            let saving = async move { Ok(store.save_snapshot(snapshot).await?) };
            run(py, bridge, self.0.engine(), saving, |py, ()| Ok(py.None()))
        })
    }

    #[pyo3(signature = (bridge, stream, schema, at_or_before, timeout))]
    fn load_snapshot<'py>(
        &self,
        py: Python<'py>,
        bridge: For<'_, 'py>,
        stream: &Bound<'py, PyAny>,
        schema: &Bound<'py, PyAny>,
        at_or_before: Maybe<'_, 'py>,
        timeout: Maybe<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        during(py, "load_snapshot", || {
            let store = self.store_for(timeout)?;
            let (stream, schema, at_or_before) =
                (text("stream", stream)?, text("schema", schema)?, optional("at_or_before", at_or_before, number)?);
            let loading = async move { Ok(store.load_snapshot(stream, schema, at_or_before).await?) };
            run(py, bridge, self.0.engine(), loading, |py, found| match found {
                Some(found) => Ok(convert::saved(py, &found)?.unbind()),
                None => Ok(py.None()),
            })
        })
    }

    #[pyo3(signature = (bridge, timeout))]
    fn head<'py>(&self, py: Python<'py>, bridge: For<'_, 'py>, timeout: Maybe<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        during(py, "head", || {
            let store = self.store_for(timeout)?;
            let asking = async move { Ok(store.head().await?) };
            run(py, bridge, self.0.engine(), asking, |py, head| Ok(head.into_pyobject(py)?.into_any().unbind()))
        })
    }

    fn close<'py>(&self, py: Python<'py>, bridge: For<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        during(py, "close", || {
            let store = self.store()?;
            let closing = async move { Ok(store.close().await?) };
            run(py, bridge, self.0.engine(), closing, |py, ()| Ok(py.None()))
        })
    }
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
