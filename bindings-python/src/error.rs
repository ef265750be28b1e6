//! Errors, handed to Python as data: `streamkeep.errors` makes its own classes of them.

use std::any::Any;

use pyo3::exceptions::PyUnicodeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use serde_json::json;

use crate::engine::panic_text;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// An error of core's, or one of the crossing itself in the same form.
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
    /// Made on threads attached already; attaching again costs nothing there.
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

/// Names the argument when text cannot be text: a `str` may hold lone surrogates, UTF-8 cannot.
pub(crate) fn named<T>(argument: &str, py: Python<'_>, extracted: PyResult<T>) -> PyResult<T> {
    extracted.map_err(|error| {
        if error.is_instance_of::<PyUnicodeError>(py) {
            return Failure::argument(argument, "the text is not valid Unicode: it holds a lone surrogate").into();
        }
        error
    })
}
