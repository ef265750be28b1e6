//! Passes errors as data: the code, the message and the facts, from which Kotlin makes its classes.

use serde_json::Value;
use streamkeep::Error;

use crate::frame::Writer;

/// Why a call was refused or failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of core.
    Core(Error),
    /// A value that core's types do not allow, such as a negative version.
    Argument { argument: &'static str, message: String },
    /// The store was closed and freed.
    Closed,
    /// A bug in this library.
    Internal(String),
    /// Another failure, of the call with this name.
    Of(&'static str, Box<Failure>),
}

impl Failure {
    pub(crate) fn argument(argument: &'static str, message: impl Into<String>) -> Self {
        Self::Argument { argument, message: message.into() }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::Internal(message.into())
    }

    /// Names the call that failed.
    pub(crate) fn of(self, operation: &'static str) -> Self {
        Self::Of(operation, Box::new(self))
    }

    fn to_json(&self) -> Value {
        let own = |code: &str, message: &str, fields: Value| serde_json::json!({"code": code, "message": message, "outcome": "not applied", "fields": fields});
        match self {
            Self::Core(error) => serde_json::from_str(&error.to_json()).unwrap_or(Value::Null),
            Self::Argument { argument, message } => {
                own("invalid-argument", message, serde_json::json!({"argument": argument}))
            }
            Self::Closed => own("closed", "the store is closed", Value::Null),
            Self::Internal(message) => own("internal", message, Value::Null),
            Self::Of(operation, failure) => {
                let mut error = failure.to_json();
                if error["operation"].is_null() {
                    error["operation"] = (*operation).into();
                }
                error
            }
        }
    }

    /// Writes the code, message, retryable, outcome, ids, operation, hint and cause, then the facts with their names.
    pub(crate) fn write(&self, frame: &mut Writer) {
        let error = self.to_json();
        let text = |name: &str| error.get(name).and_then(Value::as_str);
        frame.text(text("code").unwrap_or("internal"));
        frame.text(text("message").unwrap_or_default());
        frame.flag(error.get("retryable") == Some(&Value::Bool(true)));
        frame.text(text("outcome").unwrap_or_default());
        let ids = error.get("ids").and_then(Value::as_array).into_iter().flatten();
        let ids: Vec<String> = ids.filter_map(Value::as_str).map(str::to_owned).collect();
        frame.texts(&ids);
        frame.optional_text(text("operation"));
        frame.optional_text(text("hint"));
        frame.optional_text(text("cause"));
        let facts: Vec<_> = error.get("fields").and_then(Value::as_object).into_iter().flatten().collect();
        frame.length(facts.len());
        for (name, fact) in facts {
            frame.text(name);
            frame.flag(fact.is_number());
            match fact {
                Value::Number(number) => frame.long(number.as_i64().unwrap_or(i64::MAX)),
                Value::String(text) => frame.optional_text(Some(text)),
                _ => frame.optional_text(None),
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}
