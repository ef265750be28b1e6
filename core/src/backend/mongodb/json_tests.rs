use mongodb::bson::{Bson, RawBson};
use proptest::prelude::*;

use super::super::document::{append_payload, payload};
use super::*;
use crate::event::Payload;

/// The value that a user finds in a document.
fn value(text: &str) -> Option<Bson> {
    to_bson(text).and_then(|value| Bson::try_from(value).ok())
}

fn kept(text: &str) -> String {
    let mut document = RawDocumentBuf::new();
    append_payload(&mut document, &Payload::Json(text.to_owned()));
    match payload(&document) {
        Ok(Payload::Json(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn has_text_beside(text: &str) -> bool {
    let mut document = RawDocumentBuf::new();
    append_payload(&mut document, &Payload::Json(text.to_owned()));
    document.get("data_json").unwrap().is_some()
}

#[test]
fn a_number_is_the_smallest_type_that_has_its_exact_value() {
    let decimal = |text: &str| Some(Bson::Decimal128(text.parse().unwrap()));
    let table = [
        ("0", Some(Bson::Int32(0))),
        ("-2147483648", Some(Bson::Int32(i32::MIN))),
        ("2147483648", Some(Bson::Int64(1 << 31))),
        ("9007199254740993", Some(Bson::Int64((1 << 53) + 1))),
        ("9223372036854775807", Some(Bson::Int64(i64::MAX))),
        // The double's own shortest spelling is 9223372036854776000.
        ("9223372036854775808", decimal("9223372036854775808")),
        ("10000000000000000000", Some(Bson::Double(1e19))),
        ("12.5", Some(Bson::Double(12.5))),
        ("1.0", Some(Bson::Double(1.0))),
        ("1e5", Some(Bson::Double(1e5))),
        ("0.1", Some(Bson::Double(0.1))),
        ("-0", Some(Bson::Double(-0.0))),
        ("3.141592653589793238462643383279", decimal("3.141592653589793238462643383279")),
        ("1e400", decimal("1e400")),
        ("1e-400", decimal("1e-400")),
        ("1e7000", None),
        ("1234567890123456789012345678901234567890.5", None),
    ];
    for (text, expected) in table {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn nothing_in_a_text_is_taken_for_extended_json() {
    for text in [
        r#"{"$oid":"507f1f77bcf86cd799439011"}"#,
        r#"{"$date":"2020-01-01T00:00:00Z"}"#,
        r#"{"$numberLong":"5"}"#,
        r#"{"a":{"$ref":"x","$id":1}}"#,
    ] {
        assert!(matches!(to_bson(text), Some(RawBson::Document(_))), "{text}");
        assert_eq!(kept(text), text);
        assert!(!has_text_beside(text), "{text}");
    }
}

#[test]
fn text_stands_beside_a_value_only_where_it_would_not_come_back() {
    for text in [
        "{}",
        "[]",
        "null",
        "true",
        r#""a\nb\u0001\"""#,
        r#"{"a":[1,2.5,{"b":"é"}],"":{"c.d":null}}"#,
        r#""\u0000""#,
        "123456789012345678901234567890",
    ] {
        assert!(!has_text_beside(text), "{text}");
        assert_eq!(kept(text), text);
    }
    for text in ["{ }", "[1, 2]", r#""\u0041""#, "1.10", "1e5", "-0", "1e400", r#""\/""#, r#"{"a":1 }"#, "1e7000"] {
        assert!(has_text_beside(text), "{text}");
        assert_eq!(kept(text), text);
    }
}

#[test]
fn a_value_that_would_take_too_much_room_with_its_text_stands_as_text_alone() {
    // Small numbers are several times larger as BSON than as text.
    let text = format!("[{}1 ]", "1,".repeat(2 << 20));
    let mut document = RawDocumentBuf::new();
    append_payload(&mut document, &Payload::Json(text.clone()));
    assert!(document.get("data").unwrap().is_none());
    assert!(document.as_bytes().len() < 15 << 20);
    assert_eq!(kept(&text), text);
}

#[test]
fn the_deepest_value_has_a_document() {
    let text = format!("{}{}", "[".repeat(MAX_JSON_DEPTH), "]".repeat(MAX_JSON_DEPTH));
    assert!(to_bson(&text).is_some());
    assert_eq!(kept(&text), text);
}

/// JSON texts with spaces, escapes and long numbers.
fn texts() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,5})?";
    let string = prop_oneof![
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "[a-z]{0,4}(\\\\u00[4-7][0-9]|\\\\/|\\\\t){0,3}".prop_map(|inner| format!("\"{inner}\"")),
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number.prop_map(String::from),
        string
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let space = || prop_oneof![3 => Just(""), 1 => Just(" "), 1 => Just("\n\t")];
        let key = any::<String>().prop_map(|key| key.replace('\0', ""));
        prop_oneof![
            (proptest::collection::vec(inner.clone(), 0..6), space())
                .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(","))),
            (proptest::collection::btree_map(key, inner, 0..6), space()).prop_map(|(members, space)| {
                let members: Vec<String> = members
                    .into_iter()
                    .map(|(key, value)| format!("{}:{space}{value}", serde_json::to_string(&key).unwrap()))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_accepted_comes_back_byte_for_byte(text in texts()) {
        prop_assert_eq!(kept(&text), text);
    }

    /// The text of a value means the same as the text that it was made from.
    #[test]
    fn a_value_means_what_its_text_does(text in texts()) {
        if let Some(value) = to_bson(&text) {
            let written = to_text(value.as_raw_bson_ref());
            prop_assert!(written.is_some_and(|written| crate::value::same_json(&written, &text)));
        }
    }
}
