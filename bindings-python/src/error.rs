//! Passes errors to Python as data, from which `streamkeep.errors` makes its classes.

use std::any::Any;

use pyo3::exceptions::PyUnicodeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use serde_json::json;

use crate::engine::panic_text;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// An error of core or of this binding, in the same form.
pub(crate) enum Failure {
    Core(streamkeep::Error),
    Crossing { code: &'static str, message: String, argument: Option<String> },
}

impl Failure {
    fn crossing(code: &'static str, message: impl Into<String>) -> Self {
        Self::Crossing { code, message: message.into(), argument: None }
    }

    pub(crate) fn closed(message: &str) -> Self {
        Self::crossing("closed", message)
    }

    pub(crate) fn config(message: String) -> Self {
        Self::crossing("config", message)
    }

    pub(crate) fn internal(message: String) -> Self {
        Self::crossing("internal", message)
    }

    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        Self::internal(format!("panicked: {}", panic_text(panic)))
    }

    pub(crate) fn argument(argument: &str, message: impl Into<String>) -> Self {
        Self::Crossing { code: "invalid-argument", message: message.into(), argument: Some(argument.to_owned()) }
    }

    fn to_json(&self) -> String {
        match self {
            Self::Core(error) => error.to_json(),
            Self::Crossing { code, message, argument } => {
                let fields = argument.as_ref().map_or_else(|| json!({}), |argument| json!({"argument": argument}));
                let nothing: [&str; 0] = [];
                json!({"code": code, "message": message, "retryable": false, "outcome": "not applied", "ids": nothing, "context": null, "cause": null, "fields": fields})
                    .to_string()
            }
        }
    }
}

impl From<streamkeep::Error> for Failure {
    fn from(error: streamkeep::Error) -> Self {
        Self::Core(error)
    }
}

impl From<Failure> for PyErr {
    /// The thread is already attached, so attaching again costs nothing.
    fn from(failure: Failure) -> Self {
        static FROM_JSON: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        Python::attach(|py| {
            let made = FROM_JSON
                .import(py, "streamkeep.errors", "from_json")
                .and_then(|from_json| from_json.call1((failure.to_json(),)));
            made.map_or_else(|error| error, Self::from_value)
        })
    }
}

/// Converts the error for text that is not valid Unicode, and names the argument: a `str` may hold lone surrogates,
/// UTF-8 may not.
pub(crate) fn named<T>(argument: &str, py: Python<'_>, extracted: PyResult<T>) -> PyResult<T> {
    extracted.map_err(|error| {
        if error.is_instance_of::<PyUnicodeError>(py) {
            return Failure::argument(argument, "the text is not valid Unicode: it has a lone surrogate").into();
        }
        error
    })
}
