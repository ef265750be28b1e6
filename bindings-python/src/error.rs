//! Passes errors to Python as data, from which `streamkeep.errors` makes its classes.

use std::any::Any;

use pyo3::exceptions::{PyImportError, PyUnicodeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;
use serde_json::json;

use crate::engine::panic_text;

/// Makes a Python error from the text of [`Failure::to_json`].
static FROM_JSON: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// An error of core or of this binding, in the same form.
pub(crate) enum Failure {
    Core(streamkeep::Error),
    Crossing { code: &'static str, message: String, argument: Option<String>, hint: Option<&'static str> },
}

impl Failure {
    fn crossing(code: &'static str, message: impl Into<String>) -> Self {
        Self::Crossing { code, message: message.into(), argument: None, hint: None }
    }

    pub(crate) fn closed(message: &str) -> Self {
        Self::crossing("closed", message)
    }

    /// What the reader of the message can do.
    pub(crate) fn with_hint(mut self, words: &'static str) -> Self {
        if let Self::Crossing { hint, .. } = &mut self {
            *hint = Some(words);
        }
        self
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
        Self::Crossing {
            code: "invalid-argument",
            message: message.into(),
            argument: Some(argument.to_owned()),
            hint: None,
        }
    }

    fn to_json(&self) -> String {
        match self {
            Self::Core(error) => error.to_json(),
            Self::Crossing { code, message, argument, hint } => {
                let fields = argument.as_ref().map_or_else(|| json!({}), |argument| json!({"argument": argument}));
                let nothing: [&str; 0] = [];
                json!({"code": code, "message": message, "retryable": false, "outcome": "not applied", "ids": nothing, "operation": null, "hint": hint, "cause": null, "fields": fields})
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
        Python::attach(|py| match FROM_JSON.get(py) {
            Some(from_json) => {
                from_json.bind(py).call1((failure.to_json(),)).map_or_else(|error| error, Self::from_value)
            }
            None => PyImportError::new_err("streamkeep._native was not imported completely"),
        })
    }
}

/// Finds the maker of errors while the module is imported. The first error is too late for that: an import lets other
/// threads run, so a lock around it could be held by a thread that never returns from an interpreter that ends.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    let from_json = PyModule::import(py, "streamkeep.errors")?.getattr("from_json")?;
    // A second import of the module finds it set, to the same.
    let _ = FROM_JSON.set(py, from_json.unbind());
    Ok(())
}

/// Does the work of a public method, and names the method in an error that does not name one yet: core names it in its
/// errors, the conversion of arguments does not.
pub(crate) fn during<T>(py: Python<'_>, operation: &str, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    work().inspect_err(|error| {
        let value = error.value(py);
        // Only a store's own errors have the attribute.
        if value.getattr("operation").is_ok_and(|named| named.is_none()) {
            // What cannot be named is raised without the name.
            let _ = value.setattr("operation", operation);
        }
    })
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
