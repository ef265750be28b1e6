//! Errors cross as data: JSON in the message, from which the façade makes its class.

use streamkeep::Error;

/// An error of the store.
pub(crate) fn from_core(error: &Error) -> napi::Error {
    napi::Error::from_reason(error.to_json())
}

/// A value that the store's types cannot take.
pub(crate) fn invalid_argument(argument: &str, message: &str) -> napi::Error {
    plain("invalid-argument", message, &format!(r#"{{"argument":"{argument}"}}"#))
}

/// A defect on this side of the boundary.
pub(crate) fn internal(message: &str) -> napi::Error {
    plain("internal", message, "{}")
}

/// In the form of `Error::to_json`. Messages and fields are this crate's own texts and need no escapes.
fn plain(code: &str, message: &str, fields: &str) -> napi::Error {
    let outcome = if code == "internal" { "unknown" } else { "not applied" };
    let (rest, ids) = (r#""context":null,"cause":null"#, r#""ids":[]"#);
    napi::Error::from_reason(format!(
        r#"{{"code":"{code}","message":"{message}","retryable":false,"outcome":"{outcome}",{ids},{rest},"fields":{fields}}}"#
    ))
}
