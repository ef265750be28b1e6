//! The vectors that all languages share, and cases that only core can test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking; its numbers are small"
)]

use serde_json::Value;

use super::{check_event, check_json, check_json_object, check_metadata, json_text, same_json};
use crate::error::{Error, Result};
use crate::event::{Event, Payload};
use crate::stream::check_name;

fn vectors() -> Value {
    serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/values.json"))).unwrap()
}

/// The cases of one list; an empty list would prove nothing.
fn cases(vectors: &Value, path: &str) -> Vec<Value> {
    let cases = vectors.pointer(path).and_then(Value::as_array).unwrap_or_else(|| panic!("no list at {path}"));
    assert!(!cases.is_empty(), "{path} is empty");
    cases.clone()
}

fn name(case: &Value) -> &str {
    case["name"].as_str().unwrap()
}

/// The bytes a case stands for (tests/vectors/README.md).
fn bytes(case: &Value) -> Vec<u8> {
    if let Some(text) = case["text"].as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(hex) = case["hex"].as_str() {
        return (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    }
    if let Some(units) = case["utf16"].as_array() {
        return units.iter().flat_map(|unit| as_if_utf8(u16::try_from(unit.as_u64().unwrap()).unwrap())).collect();
    }
    let repeat = &case["repeat"];
    let part = |key: &str| repeat[key].as_str().unwrap_or("");
    let times =
        usize::try_from(repeat["times"].as_u64().unwrap_or_else(|| panic!("'{}' stands for nothing", name(case))))
            .unwrap();
    [part("start"), &part("open").repeat(times), part("middle"), &part("close").repeat(times), part("end")]
        .concat()
        .into_bytes()
}

fn as_if_utf8(unit: u16) -> Vec<u8> {
    match char::from_u32(u32::from(unit)) {
        Some(char) => char.to_string().into_bytes(),
        None => vec![0xE0 | (unit >> 12) as u8, 0x80 | (unit >> 6 & 0x3F) as u8, 0x80 | (unit & 0x3F) as u8],
    }
}

fn text(case: &Value) -> String {
    String::from_utf8(bytes(case)).unwrap()
}

fn tags(case: &Value) -> Vec<String> {
    match case["numbered"].as_u64() {
        Some(count) => (1..=count).map(|number| format!("tag-{number}")).collect(),
        None => case["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect(),
    }
}

fn assert_refused(result: Result<()>, code: &Value, fields: &Value, case: &str) {
    let error = result.err().unwrap_or_else(|| panic!("'{case}' was taken"));
    let told: Value = serde_json::from_str(&error.to_json()).unwrap();
    assert_eq!((&told["code"], &told["fields"]), (code, fields), "'{case}': {error}");
    assert_eq!(told["outcome"], "not applied", "'{case}'");
}

fn append_check(bytes: Vec<u8>) -> Result<()> {
    check_event(&Event::json_text("Happened", json_text(bytes)?), false)
}

#[test]
fn accepted_values_are_accepted() {
    for case in cases(&vectors(), "/accepted") {
        append_check(bytes(&case)).unwrap_or_else(|error| panic!("'{}': {error}", name(&case)));
    }
}

#[test]
fn refused_values_are_refused_with_their_code_and_fields() {
    for case in cases(&vectors(), "/refused") {
        assert_refused(append_check(bytes(&case)), &case["code"], &case["fields"], name(&case));
    }
}

#[test]
fn same_values_are_the_same_both_ways_and_both_are_taken() {
    for case in cases(&vectors(), "/same") {
        let (a, b) = (case["a"].as_str().unwrap(), case["b"].as_str().unwrap());
        assert!(same_json(a, b) && same_json(b, a), "'{}'", name(&case));
        assert!(check_json("data", a).is_ok() && check_json("data", b).is_ok(), "'{}'", name(&case));
    }
}

#[test]
fn different_values_are_different_both_ways_and_both_are_taken() {
    for case in cases(&vectors(), "/different") {
        let (a, b) = (case["a"].as_str().unwrap(), case["b"].as_str().unwrap());
        assert!(!same_json(a, b) && !same_json(b, a), "'{}'", name(&case));
        assert!(check_json("data", a).is_ok() && check_json("data", b).is_ok(), "'{}'", name(&case));
    }
}

#[test]
fn metadata_is_an_object_of_limited_length() {
    let vectors = vectors();
    let check = |case: &Value| check_event(&Event::json_text("Happened", "{}").with_metadata(text(case)), false);
    for case in cases(&vectors, "/metadata/accepted") {
        check(&case).unwrap_or_else(|error| panic!("'{}': {error}", name(&case)));
    }
    for case in cases(&vectors, "/metadata/refused") {
        assert_refused(check(&case), &case["code"], &case["fields"], name(&case));
    }
}

#[test]
fn tags_are_a_small_set_of_names() {
    let vectors = vectors();
    let check = |case: &Value| check_event(&Event::json_text("Happened", "{}").with_tags(tags(case)), false);
    for case in cases(&vectors, "/tags/accepted") {
        check(&case).unwrap_or_else(|error| panic!("'{}': {error}", name(&case)));
    }
    for case in cases(&vectors, "/tags/refused") {
        assert_refused(check(&case), &case["code"], &case["fields"], name(&case));
    }
}

fn check_as(kind: &str, text: &str) -> Result<()> {
    match kind {
        "stream" => check_name("stream", text),
        "type" => check_event(&Event::json_text(text, "{}"), false),
        "tag" => check_event(&Event::json_text("Happened", "{}").with_tags([text]), false),
        "schema" => check_event(&Event::json_text("Happened", "{}").with_schema(text), false),
        other => panic!("no such kind: {other}"),
    }
}

#[test]
fn names_follow_one_rule_wherever_they_stand() {
    let vectors = vectors();
    for case in cases(&vectors, "/names/accepted") {
        for kind in case["as"].as_array().unwrap() {
            check_as(kind.as_str().unwrap(), &text(&case))
                .unwrap_or_else(|error| panic!("'{}' as {kind}: {error}", name(&case)));
        }
    }
    for case in cases(&vectors, "/names/refused") {
        for kind in case["as"].as_array().unwrap() {
            let mut fields = case["fields"].clone();
            let key = if case["code"] == "limit-exceeded" { "what" } else { "argument" };
            fields.as_object_mut().unwrap().insert(key.to_owned(), kind.clone());
            assert_refused(check_as(kind.as_str().unwrap(), &text(&case)), &case["code"], &fields, name(&case));
        }
    }
}

#[test]
fn the_stores_own_types_pass_where_they_are_allowed() {
    assert!(check_event(&Event::json_text("$deleted", "{}"), true).is_ok());
    assert!(check_event(&Event::json_text("$\n", "{}"), true).is_err(), "other rules hold for them too");
}

#[test]
fn bytes_are_limited_but_not_looked_at() {
    assert!(check_event(&Event::bytes("Happened", [0xff, 0]), false).is_ok());
    assert!(check_event(&Event::bytes("Happened", vec![0; 8 << 20]), false).is_ok());
    let error = check_event(&Event::new("Happened", Payload::Bytes(vec![0; (8 << 20) + 1])), false).unwrap_err();
    assert_eq!(error.code(), "limit-exceeded");
}

/// The place that the message of each kind of fault names.
#[test]
fn messages_say_what_and_where() {
    for (text, expected) in [
        ("", "the text ends where a value is expected, at byte 0"),
        ("[1, x]", "expected a value, at byte 4"),
        ("[1 2]", "expected ',' or ']', at byte 3"),
        ("{} {}", "there is text after the value, at byte 3"),
        ("[NaN]", "no infinity), at byte 1"),
        (r#"{"é":1,"é":2}"#, "a duplicate key, at byte 8"),
        (r#"{"a":"\ud800"}"#, "a lone surrogate, at byte 6"),
        (r#"{"b":{"a\u0000":1}}"#, "U+0000 in a key, at byte 6"),
        ("\"abc\ndef\"", "a control character in a string must be escaped, at byte 4"),
        ("[01]", "a number must not begin with a zero, at byte 2"),
        (r#""\u12x4""#, "expected four hexadecimal digits, at byte 3"),
    ] {
        let error = check_json("data", text).unwrap_err();
        assert!(error.message().starts_with("data ") && error.message().ends_with(expected), "{text}: {error}");
    }
    assert!(check_json_object("metadata", "[]").unwrap_err().message().starts_with("metadata "));
    assert!(json_text(vec![b'"', 0xff]).unwrap_err().message().ends_with("at byte 1"));
}

#[test]
fn no_part_of_a_text_shows_in_an_error() {
    let shown = |error: Error| format!("{error} {error:?} {}", error.to_json());
    let secret = "s3cret";
    for text in [
        format!(r#"{{"{secret}":1,"{secret}":2}}"#),
        format!("[{secret}]"),
        format!(r#"["{secret}\ud800"]"#),
        format!(r#"{{"{secret}"}}"#),
        format!("{}\"{secret}\"", "[".repeat(65)),
    ] {
        let shown = shown(check_json("data", &text).unwrap_err());
        assert!(!shown.contains(secret), "{shown}");
    }
    let bytes = [secret.as_bytes(), &[0xff]].concat();
    let shown = shown(json_text(bytes).unwrap_err());
    assert!(!shown.contains(secret) && !shown.contains("115, 51"), "{shown}");
}

fn object_of(keys: impl IntoIterator<Item = usize>) -> String {
    let members: Vec<String> = keys.into_iter().map(|key| format!(r#""k{key}":0"#)).collect();
    format!("{{{}}}", members.join(","))
}

/// Tries numbers of keys around the one from which on keys are hashed.
#[test]
fn a_key_twice_is_found_whatever_the_number_of_keys() {
    for count in [1, 2, 15, 16, 17, 18, 33, 300] {
        assert!(check_json("data", &object_of(0..count)).is_ok(), "{count} keys");
        for twice in 0..count {
            assert!(check_json("data", &object_of((0..count).chain([twice]))).is_err(), "{count} keys, {twice} twice");
        }
    }
}

/// The keys of an object are separate from those of the objects inside it and next to it.
#[test]
fn objects_have_keys_of_their_own() {
    let (small, large) = (object_of(0..10), object_of(0..40));
    for inner in [&small, &large] {
        let nested = format!(r#"{{"a":{inner},"k1":{inner},"b":[{inner},{inner}],"k2":0}}"#);
        assert!(check_json("data", &nested).is_ok());
        assert!(check_json("data", &nested.replace(r#""b":"#, r#""k1":"#)).is_err());
    }
    let after = large.replace(r#""k39":0"#, &format!(r#""k39":{large},"k40":1,"k0":1"#));
    assert!(check_json("data", &after).is_err(), "a key from before an inner object is still known after it");
}

/// With 100,000 keys, comparing all pairs would take minutes. Hashing takes seconds even on a busy machine.
#[test]
fn many_keys_take_no_quadratic_time() {
    let forth = object_of(0..100_000);
    let back = object_of((0..100_000).rev());
    let started = std::time::Instant::now();
    assert!(check_json("data", &forth).is_ok());
    assert!(same_json(&forth, &back));
    assert!(check_json("data", &object_of((0..100_000).chain([5]))).is_err());
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
}

/// A text of the largest size that sorts members at every level, and a number of the same length.
#[test]
fn large_texts_compare_in_bounded_time_and_memory() {
    let nested = |order: [&str; 2]| {
        (0..63).fold(format!("\"{}\"", "x".repeat(4 << 20)), |inner, _| {
            format!("{{{}}}", order.join(",").replace('#', &inner))
        })
    };
    assert!(same_json(&nested([r#""b":#"#, r#""a":1"#]), &nested([r#""a":1"#, r#""b":#"#])));
    let zeros = "0".repeat(4 << 20);
    assert!(same_json(&format!("1{zeros}"), &format!("1e{}", zeros.len())));
    assert!(same_json(&format!("0.{zeros}1"), &format!("1e-{}", zeros.len() + 1)));
    assert!(same_json(&format!("1e1{zeros}"), &format!("10e{}", "9".repeat(zeros.len()))));
}

/// Two texts that are not JSON are equal only if they are the same text.
#[test]
fn what_is_no_json_is_the_same_as_itself_only() {
    assert!(same_json("[1", "[1"));
    assert!(!same_json("[1", "[1 "));
    assert!(!same_json("", " "));
    assert!(!same_json("01", "1"));
}

/// Tries every byte that ends a run at every alignment, because the scanner goes in steps of eight bytes.
#[test]
fn strings_end_where_they_end_at_every_alignment() {
    for before in 0..20 {
        for after in 0..20 {
            let (a, b) = ("x".repeat(before), "é".repeat(after));
            for byte in 0..=0x20_u8 {
                let text = format!("\"{a}{}{b}\"", char::from(byte));
                assert_eq!(check_json("data", &text).is_ok(), byte == 0x20, "{byte:#x} after {before} bytes");
            }
            assert!(check_json("data", &format!("\"{a}\\n{b}\"")).is_ok());
            assert!(check_json("data", &format!("\"{a}\"{b}x")).is_err());
            assert!(check_json("data", &format!("\"{a}!#[]\u{7f}{b}\"")).is_ok());
            assert!(check_json("data", &format!("\"{a}{b}")).is_err());
        }
    }
}

/// Rust knows more kinds of white space than JSON. The check for an object must not depend on that.
#[test]
fn metadata_may_have_white_space_around() {
    assert!(check_metadata("\t\n\r {} ").is_ok());
    assert!(check_metadata("\u{2003}{}").is_err());
}
