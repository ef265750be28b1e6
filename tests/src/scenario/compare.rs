//! Saved answers, and the comparison of an answer with the expected one.

use std::collections::HashMap;

use serde_json::Value;

/// Replaces `$name.key` with the saved answer. `$$` is a plain `$`.
pub(super) fn resolve(value: &Value, saved: &HashMap<String, Value>) -> Result<Value, String> {
    match value {
        Value::String(text) => match text.strip_prefix('$') {
            None => Ok(value.clone()),
            Some(plain) if plain.starts_with('$') => Ok(Value::String(plain.to_owned())),
            Some(path) => look_up(path, saved),
        },
        Value::Array(items) => {
            items.iter().map(|item| resolve(item, saved)).collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| Ok((key.clone(), resolve(item, saved)?)))
            .collect::<Result<_, String>>()
            .map(Value::Object),
        _ => Ok(value.clone()),
    }
}

fn look_up(path: &str, saved: &HashMap<String, Value>) -> Result<Value, String> {
    let unknown = || format!("unknown placeholder '${path}'");
    let mut parts = path.split('.');
    let mut value = saved.get(parts.next().unwrap_or_default()).ok_or_else(unknown)?;
    for part in parts {
        let inner = match value {
            Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
            other => other.get(part),
        };
        value = inner.ok_or_else(unknown)?;
    }
    Ok(value.clone())
}

/// The first difference. Objects must agree in the expected keys, lists in length and order, everything else exactly.
pub(super) fn difference(expected: &Value, actual: &Value, place: &str) -> Option<String> {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => expected.iter().find_map(|(key, value)| {
            difference(value, actual.get(key).unwrap_or(&Value::Null), &format!("{place}.{key}"))
        }),
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => expected
            .iter()
            .zip(actual)
            .enumerate()
            .find_map(|(index, (expected, actual))| difference(expected, actual, &format!("{place}.{index}"))),
        (expected, actual) if expected == actual => None,
        (expected, actual) => Some(format!("{place}: expected {expected}, got {actual}")),
    }
}
