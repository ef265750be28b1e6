//! Passes errors to TypeScript as data: JSON, from which TypeScript makes its class.

use streamkeep::Error;

/// An error as JSON. A function that throws has it as its message.
#[derive(Clone)]
pub struct Failure(String);

impl Failure {
    pub(crate) fn into_json(self) -> String {
        self.0
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error.to_json())
    }
}

impl From<Failure> for napi::Error {
    fn from(failure: Failure) -> Self {
        Self::from_reason(failure.0)
    }
}

/// A value that core's types do not allow.
pub(crate) fn invalid_argument(argument: &str, message: &str) -> napi::Error {
    plain("invalid-argument", message, &format!(r#"{{"argument":"{argument}"}}"#)).into()
}

/// A setting that cannot be used.
pub(crate) fn config(message: &str) -> Failure {
    plain("config", message, "{}")
}

/// A bug in this binding.
pub(crate) fn internal(message: &str) -> Failure {
    plain("internal", message, "{}")
}

/// Makes the form of `Error::to_json`. Messages and fields are texts of this crate and need no escapes.
fn plain(code: &str, message: &str, fields: &str) -> Failure {
    let outcome = if code == "internal" { "unknown" } else { "not applied" };
    let (rest, ids) = (r#""hint":null,"cause":null"#, r#""ids":[]"#);
    Failure(format!(
        r#"{{"code":"{code}","message":"{message}","retryable":false,"outcome":"{outcome}",{ids},{rest},"fields":{fields}}}"#
    ))
}
