// Generated from generate/surface.json by `make generate`. Do not edit it.

//! The methods of the native module: each converts its arguments, calls core, and converts the answer.

use std::sync::Arc;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::{For, Maybe, Store};
use crate::bridge::{apart, run};
use crate::convert::{self, number, optional, seconds, text};
use crate::cursor::Cursor;
use crate::error::{Failure, during};

/// Opens a store, and creates what is missing.
#[pyfunction]
#[pyo3(signature = (bridge, url, *, namespace=None, create=None, durability=None, timeout=None, poll_interval=None, max_connections=None, insecure=None))]
#[expect(clippy::too_many_arguments, reason = "each option is an argument")]
pub(crate) fn open<'py>(
    py: Python<'py>,
    bridge: For<'_, 'py>,
    url: &Bound<'py, PyAny>,
    namespace: Maybe<'_, 'py>,
    create: Maybe<'_, 'py>,
    durability: Maybe<'_, 'py>,
    timeout: Maybe<'_, 'py>,
    poll_interval: Maybe<'_, 'py>,
    max_connections: Maybe<'_, 'py>,
    insecure: Maybe<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    during(py, "open", || {
        let mut options = streamkeep::OpenOptions::new(text("url", url)?);
        if let Some(given) = namespace {
            options = options.namespace(text("namespace", given)?);
        }
        if let Some(given) = create {
            options = options.create(convert::flag("create", given)?);
        }
        if let Some(given) = durability {
            options = options.durability(durability_of("durability", given)?);
        }
        if let Some(given) = timeout {
            options = options.timeout(seconds("timeout", given)?);
        }
        if let Some(given) = poll_interval {
            options = options.poll_interval(seconds("poll_interval", given)?);
        }
        if let Some(given) = max_connections {
            options = options.max_connections(convert::small_number("max_connections", given)?);
        }
        if let Some(given) = insecure {
            options = options.insecure(convert::flag("insecure", given)?);
        }
        super::opening(py, bridge, options)
    })
}

#[pymethods]
impl Store {
    /// Appends events to a stream: all of them or none, with consecutive versions.
    #[pyo3(signature = (bridge, stream, events, expected, timeout))]
    fn append<'py>(
        &self,
        py: Python<'py>,
        bridge: For<'_, 'py>,
        stream: &Bound<'py, PyAny>,
        events: &Bound<'py, PyAny>,
        expected: &Bound<'py, PyAny>,
        timeout: Maybe<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        during(py, "append", || {
            let store = self.store()?;
            let stream = text("stream", stream)?;
            let events = convert::events("events", events)?;
            let options = streamkeep::AppendOptions {
                expected: expected_of("expected", expected)?,
                timeout: optional("timeout", timeout, seconds)?,
            };
            let call = async move { Ok(store.append(stream, events, options).await?) };
            run(py, bridge, self.0.engine(), call, |py, answer| append_result(py, &answer)?.into_py_any(py))
        })
    }

    /// Gives the position of the last committed event that is safe to read; 0 if the log is empty.
    #[pyo3(signature = (bridge, timeout))]
    fn head<'py>(&self, py: Python<'py>, bridge: For<'_, 'py>, timeout: Maybe<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        during(py, "head", || {
            let store = self.store_for(timeout)?;
            let call = async move { Ok(store.head().await?) };
            run(py, bridge, self.0.engine(), call, |py, answer| answer.into_py_any(py))
        })
    }

    /// Imports events that were recorded elsewhere, with their stream, version, id and time.
    #[pyo3(signature = (bridge, events, timeout))]
    fn import_events<'py>(
        &self,
        py: Python<'py>,
        bridge: For<'_, 'py>,
        events: &Bound<'py, PyAny>,
        timeout: Maybe<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        during(py, "import_events", || {
            let store = self.store_for(timeout)?;
            let events = convert::imports("events", events)?;
            let call = async move { Ok(store.import_events(events).await?) };
            let call = apart(Arc::clone(self.0.engine()), call);
            run(py, bridge, self.0.engine(), call, |py, answer| import_result(py, &answer)?.into_py_any(py))
        })
    }

    /// Gives the last event of a stream, or nothing if the stream is absent.
    #[pyo3(signature = (bridge, stream, timeout))]
    fn last<'py>(
        &self,
        py: Python<'py>,
        bridge: For<'_, 'py>,
        stream: &Bound<'py, PyAny>,
        timeout: Maybe<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        during(py, "last", || {
            let store = self.store_for(timeout)?;
            let stream = text("stream", stream)?;
            let call = async move { Ok(store.last(stream).await?) };
            run(py, bridge, self.0.engine(), call, |py, found| match found {
                Some(answer) => convert::recorded(py, std::slice::from_ref(&answer))?.get_item(0)?.into_py_any(py),
                None => Ok(py.None()),
            })
        })
    }

    /// Loads the newest valid snapshot, or nothing.
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
            let stream = text("stream", stream)?;
            let schema = text("schema", schema)?;
            let at_or_before = optional("at_or_before", at_or_before, number)?;
            let call = async move { Ok(store.load_snapshot(stream, schema, at_or_before).await?) };
            run(py, bridge, self.0.engine(), call, |py, found| match found {
                Some(answer) => convert::saved(py, &answer)?.into_py_any(py),
                None => Ok(py.None()),
            })
        })
    }

    /// Reads the events of a stream page by page, in the order of versions. An absent stream has none.
    #[pyo3(signature = (stream, from_version, to_version, direction, limit, timeout))]
    #[expect(clippy::too_many_arguments, reason = "each option is an argument")]
    fn read<'py>(
        &self,
        py: Python<'py>,
        stream: &Bound<'py, PyAny>,
        from_version: &Bound<'py, PyAny>,
        to_version: Maybe<'_, 'py>,
        direction: &Bound<'py, PyAny>,
        limit: Maybe<'_, 'py>,
        timeout: Maybe<'_, 'py>,
    ) -> PyResult<Cursor> {
        during(py, "read", || {
            let store = self.store()?;
            let stream = text("stream", stream)?;
            let options = streamkeep::ReadOptions {
                from_version: number("from_version", from_version)?,
                to_version: optional("to_version", to_version, number)?.unwrap_or(u64::MAX),
                direction: direction_of("direction", direction)?,
                limit: optional("limit", limit, number)?,
                timeout: optional("timeout", timeout, seconds)?,
            };
            Ok(Cursor::of_events(self.0.engine(), "read", store.read(stream, options))?)
        })
    }

    /// Reads the events of the log that match a query, page by page, in the order of positions.
    #[pyo3(signature = (after, before, query, direction, limit, timeout))]
    #[expect(clippy::too_many_arguments, reason = "each option is an argument")]
    fn read_all<'py>(
        &self,
        py: Python<'py>,
        after: &Bound<'py, PyAny>,
        before: Maybe<'_, 'py>,
        query: &Bound<'py, PyAny>,
        direction: &Bound<'py, PyAny>,
        limit: Maybe<'_, 'py>,
        timeout: Maybe<'_, 'py>,
    ) -> PyResult<Cursor> {
        during(py, "read_all", || {
            let store = self.store()?;
            let options = streamkeep::ReadAllOptions {
                after: number("after", after)?,
                before: optional("before", before, number)?,
                query: convert::query("query", query)?,
                direction: direction_of("direction", direction)?,
                limit: optional("limit", limit, number)?,
                timeout: optional("timeout", timeout, seconds)?,
            };
            Ok(Cursor::of_events(self.0.engine(), "read_all", store.read_all(options))?)
        })
    }

    /// Reads one page of the log and says how far it looked.
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
            let options = streamkeep::ReadPageOptions {
                after: number("after", after)?,
                query: convert::query("query", query)?,
                limit: optional("limit", limit, number)?,
                timeout: optional("timeout", timeout, seconds)?,
            };
            let call = async move { Ok(store.read_page(options).await?) };
            run(py, bridge, self.0.engine(), call, |py, answer| page(py, &answer)?.into_py_any(py))
        })
    }

    /// Saves a snapshot, and replaces one with the same stream, schema and version.
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
            let snapshot = convert::snapshot("snapshot", snapshot)?;
            let call = async move { Ok(store.save_snapshot(snapshot).await?) };
            run(py, bridge, self.0.engine(), call, |py, ()| Ok(py.None()))
        })
    }

    /// Subscribes to the log: every committed event that matches, once, in the order of positions.
    #[pyo3(signature = (query, start, after))]
    fn subscribe<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, PyAny>,
        start: Maybe<'_, 'py>,
        after: Maybe<'_, 'py>,
    ) -> PyResult<Cursor> {
        during(py, "subscribe", || {
            let store = self.store()?;
            let options = streamkeep::SubscribeOptions {
                query: convert::query("query", query)?,
                start: optional("start", start, start_of)?,
                after: optional("after", after, number)?,
            };
            // The subscription's poll interval needs the runtime.
            let _runtime = self.0.engine().handle().enter();
            Ok(Cursor::of_subscription(self.0.engine(), store.subscribe(options))?)
        })
    }

    /// Closes the store.
    fn close<'py>(&self, py: Python<'py>, bridge: For<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        during(py, "close", || {
            let store = self.store()?;
            let closing = async move { Ok(store.close().await?) };
            run(py, bridge, self.0.engine(), closing, |py, ()| Ok(py.None()))
        })
    }
}

fn append_result<'py>(py: Python<'py>, result: &streamkeep::AppendResult) -> PyResult<Bound<'py, PyAny>> {
    (result.version, result.position, result.repeated).into_bound_py_any(py)
}

fn import_result<'py>(py: Python<'py>, result: &streamkeep::ImportResult) -> PyResult<Bound<'py, PyAny>> {
    (result.imported, result.passed_over, result.position).into_bound_py_any(py)
}

fn page<'py>(py: Python<'py>, result: &streamkeep::Page) -> PyResult<Bound<'py, PyAny>> {
    (convert::recorded(py, &result.events)?, result.reached, result.caught_up).into_bound_py_any(py)
}

fn direction_of(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<streamkeep::Direction> {
    match text(argument, value)?.as_str() {
        "forward" => Ok(streamkeep::Direction::Forward),
        "backward" => Ok(streamkeep::Direction::Backward),
        _ => Err(Failure::argument(argument, "direction must be 'forward' or 'backward'").into()),
    }
}

fn durability_of(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<streamkeep::Durability> {
    match text(argument, value)?.as_str() {
        "full" => Ok(streamkeep::Durability::Full),
        "relaxed" => Ok(streamkeep::Durability::Relaxed),
        _ => Err(Failure::config("durability must be 'full' or 'relaxed'".to_owned()).into()),
    }
}

fn expected_of(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<streamkeep::ExpectedVersion> {
    if !value.is_instance_of::<PyString>() {
        return number(argument, value).map(streamkeep::ExpectedVersion::Exact);
    }
    match text(argument, value)?.as_str() {
        "any" => Ok(streamkeep::ExpectedVersion::Any),
        "no-stream" => Ok(streamkeep::ExpectedVersion::NoStream),
        "stream-exists" => Ok(streamkeep::ExpectedVersion::StreamExists),
        _ => Err(Failure::argument(argument, "expected must be ANY, NO_STREAM, STREAM_EXISTS or a version").into()),
    }
}

fn start_of(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<streamkeep::Start> {
    match text(argument, value)?.as_str() {
        "beginning" => Ok(streamkeep::Start::Beginning),
        "now" => Ok(streamkeep::Start::Now),
        _ => Err(Failure::argument(argument, "start must be 'beginning' or 'now'").into()),
    }
}
