//! Converts values between Python and core, as tuples of text and bytes in batches. Payloads stay bytes, and Python
//! decodes them on first access.

use std::time::Duration;

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyList, PyString, PyTuple};
use streamkeep::{Event, ImportEvent, Payload, Query, QueryItem, RecordedEvent, Snapshot};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::{Failure, named};

/// The longest timeout; a longer one is shortened to it. No process lives as long, and clocks do not overflow.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
const EVENT_FIELDS: usize = 7;

/// Reads the text of an argument.
pub(crate) fn text(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let value = value.cast::<PyString>().map_err(|_| PyTypeError::new_err(format!("{argument} must be a str")))?;
    named(argument, value.py(), value.to_str().map(str::to_owned))
}

/// Reads a version, position, limit or other count.
pub(crate) fn number(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    if value.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err(format!("{argument} must be an int, not a bool")));
    }
    value.extract::<u64>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            return Failure::argument(argument, format!("{argument} must be from 0 to 2^64 - 1")).into();
        }
        PyTypeError::new_err(format!("{argument} must be an int"))
    })
}

pub(crate) fn optional<T>(
    argument: &str,
    value: Option<&Bound<'_, PyAny>>,
    convert: fn(&str, &Bound<'_, PyAny>) -> PyResult<T>,
) -> PyResult<Option<T>> {
    value.map(|value| convert(argument, value)).transpose()
}

/// Reads a duration in seconds.
pub(crate) fn seconds(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let seconds: f64 = value
        .extract()
        .map_err(|_| PyTypeError::new_err(format!("{argument} must be a number of seconds or a datetime.timedelta")))?;
    if seconds.is_nan() || seconds < 0.0 {
        return Err(Failure::argument(argument, format!("{argument} must not be negative")).into());
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST))
}

/// Reads a number of connections.
pub(crate) fn small_number(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<u32> {
    let large = |_| Failure::config(format!("{argument} is too large"));
    Ok(u32::try_from(number(argument, value)?).map_err(large)?)
}

pub(crate) fn flag(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value.extract().map_err(|_| PyTypeError::new_err(format!("{argument} must be a bool")))
}

/// Reads a query: a sequence of items, each with four sequences of names (types, tags, categories, streams).
pub(crate) fn query(argument: &str, items: &Bound<'_, PyAny>) -> PyResult<Query> {
    let lists = |lists: Bound<'_, PyAny>| -> PyResult<QueryItem> {
        let names = |place: usize| -> PyResult<Vec<String>> {
            lists.get_item(place)?.try_iter()?.map(|name| text(argument, &name?)).collect()
        };
        Ok(QueryItem { types: names(0)?, tags: names(1)?, categories: names(2)?, streams: names(3)? })
    };
    Ok(Query { items: items.try_iter()?.map(|item| lists(item?)).collect::<PyResult<_>>()? })
}

/// Converts bytes to a payload. JSON must at least be UTF-8.
pub(crate) fn payload(is_json: bool, bytes: &[u8]) -> PyResult<Payload> {
    if is_json { Ok(Payload::Json(utf8("data", bytes)?)) } else { Ok(Payload::Bytes(bytes.to_vec())) }
}

fn utf8(argument: &str, bytes: &[u8]) -> PyResult<String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Failure::argument(argument, format!("{argument} is not UTF-8: {error}")))?;
    Ok(text.to_owned())
}

/// Reads an event: (type, is JSON, data, metadata, tags, id, schema).
pub(crate) fn event(fields: &Bound<'_, PyAny>) -> PyResult<Event> {
    let fields = fields.cast::<PyTuple>()?;
    if fields.len() != EVENT_FIELDS {
        return Err(PyTypeError::new_err("an event must have seven fields"));
    }
    let field = |place: usize| fields.get_item(place);
    let data = field(2)?;
    let schema = field(6)?;
    Ok(Event {
        event_type: text("type", &field(0)?)?,
        data: payload(field(1)?.extract()?, data.cast::<PyBytes>()?.as_bytes())?,
        metadata: utf8("metadata", field(3)?.cast::<PyBytes>()?.as_bytes())?,
        tags: field(4)?.cast::<PyTuple>()?.iter().map(|tag| text("tag", &tag)).collect::<PyResult<_>>()?,
        id: Uuid::from_slice(field(5)?.cast::<PyBytes>()?.as_bytes())
            .map_err(|_| Failure::argument("id", "an id must have 16 bytes"))?,
        schema: if schema.is_none() { None } else { Some(text("schema", &schema)?) },
    })
}

/// Reads a list.
fn list<'a, 'py>(argument: &str, value: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyList>> {
    value.cast::<PyList>().map_err(|_| PyTypeError::new_err(format!("{argument} must be a list")))
}

pub(crate) fn events(argument: &str, batch: &Bound<'_, PyAny>) -> PyResult<Vec<Event>> {
    list(argument, batch)?.iter().map(|fields| event(&fields)).collect()
}

/// Reads events to import: (stream, version, microseconds since the epoch, event).
pub(crate) fn imports(argument: &str, batch: &Bound<'_, PyAny>) -> PyResult<Vec<ImportEvent>> {
    let import = |fields: Bound<'_, PyAny>| -> PyResult<ImportEvent> {
        let (stream, version, micros, fields): (
            Bound<'_, PyAny>,
            Option<Bound<'_, PyAny>>,
            Option<i64>,
            Bound<'_, PyAny>,
        ) = fields.extract()?;
        let recorded_at =
            micros.map(|micros| OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)).transpose();
        Ok(ImportEvent {
            stream: text("stream", &stream)?,
            version: optional("version", version.as_ref(), number)?,
            // In the words of core, which checks the times that its type can hold.
            recorded_at: recorded_at.map_err(|_| {
                Failure::argument("recorded_at", "a time of an import must be in the years 1 to 9999, in UTC")
            })?,
            event: event(&fields)?,
        })
    };
    list(argument, batch)?.iter().map(import).collect()
}

/// Converts recorded events to Python. Neighbours often have the same stream, type and metadata, and then share one
/// object.
#[derive(Default)]
struct Recorder<'py> {
    stream: Option<Bound<'py, PyString>>,
    event_type: Option<Bound<'py, PyString>>,
    metadata: Option<Bound<'py, PyBytes>>,
}

impl<'py> Recorder<'py> {
    /// (stream, version, position, id, type, is JSON, data, metadata, tags, schema, microseconds since the epoch)
    fn record(&mut self, py: Python<'py>, event: &RecordedEvent) -> PyResult<Bound<'py, PyAny>> {
        let micros = i64::try_from(event.recorded_at.unix_timestamp_nanos() / 1000)
            .map_err(|_| Failure::internal("a recorded time is out of range".to_owned()))?;
        let tags = PyTuple::new(py, &event.tags)?;
        let metadata = same_bytes(&mut self.metadata, py, event.metadata.as_bytes());
        let fields = (
            same_text(&mut self.stream, py, &event.stream),
            event.version,
            event.position,
            PyBytes::new(py, event.id.as_bytes()),
            same_text(&mut self.event_type, py, &event.event_type),
            event.data.as_json().is_some(),
            PyBytes::new(py, event.data.as_bytes()),
            metadata,
            tags,
            event.schema.as_deref(),
            micros,
        );
        fields.into_bound_py_any(py)
    }
}

fn same_text<'py>(last: &mut Option<Bound<'py, PyString>>, py: Python<'py>, text: &str) -> Bound<'py, PyString> {
    match last {
        Some(last) if last.to_str().is_ok_and(|last| last == text) => last.clone(),
        last => last.insert(PyString::new(py, text)).clone(),
    }
}

fn same_bytes<'py>(last: &mut Option<Bound<'py, PyBytes>>, py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyBytes> {
    match last {
        Some(last) if last.as_bytes() == bytes => last.clone(),
        last => last.insert(PyBytes::new(py, bytes)).clone(),
    }
}

pub(crate) fn recorded<'py>(py: Python<'py>, events: &[RecordedEvent]) -> PyResult<Bound<'py, PyList>> {
    let mut recorder = Recorder::default();
    let events: Vec<_> = events.iter().map(|event| recorder.record(py, event)).collect::<PyResult<_>>()?;
    PyList::new(py, events)
}

/// Reads a snapshot: (stream, version, schema, is JSON, data).
pub(crate) fn snapshot(_argument: &str, fields: &Bound<'_, PyAny>) -> PyResult<Snapshot> {
    type Fields<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>, bool, Bound<'py, PyBytes>);
    let (stream, version, schema, is_json, data): Fields<'_> = fields.extract()?;
    Ok(Snapshot {
        stream: text("stream", &stream)?,
        version: number("version", &version)?,
        schema: text("schema", &schema)?,
        data: payload(is_json, data.as_bytes())?,
    })
}

/// Converts a snapshot to Python, in the same form.
pub(crate) fn saved<'py>(py: Python<'py>, snapshot: &Snapshot) -> PyResult<Bound<'py, PyAny>> {
    let data = PyBytes::new(py, snapshot.data.as_bytes());
    (snapshot.stream.as_str(), snapshot.version, snapshot.schema.as_str(), snapshot.data.as_json().is_some(), data)
        .into_bound_py_any(py)
}
