//! Passes errors to TypeScript as data: JSON in the message, from which TypeScript makes its class.

use streamkeep::Error;

/// An error of the store.
pub(crate) fn from_core(error: &Error) -> napi::Error {
    napi::Error::from_reason(error.to_json())
}

/// A value that core's types do not allow.
pub(crate) fn invalid_argument(argument: &str, message: &str) -> napi::Error {
    plain("invalid-argument", message, &format!(r#"{{"argument":"{argument}"}}"#))
}

/// A bug in this binding.
pub(crate) fn internal(message: &str) -> napi::Error {
    plain("internal", message, "{}")
}

/// Makes the form of `Error::to_json`. Messages and fields are texts of this crate and need no escapes.
fn plain(code: &str, message: &str, fields: &str) -> napi::Error {
    let outcome = if code == "internal" { "unknown" } else { "not applied" };
    let (rest, ids) = (r#""hint":null,"cause":null"#, r#""ids":[]"#);
    napi::Error::from_reason(format!(
        r#"{{"code":"{code}","message":"{message}","retryable":false,"outcome":"{outcome}",{ids},{rest},"fields":{fields}}}"#
    ))
}
