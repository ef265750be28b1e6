//! Runs `vectors/values.json` on every backend; `vectors/README.md` describes each section.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use libtest_mimic::Trial;
use serde_json::{Map, Value, json};
use streamkeep::{Error, Event, EventStore, ExpectedVersion, RecordedEvent, Result, json_text};

use crate::harness::{BACKENDS, Room, TESTS};
use crate::suite::{Inserts, on};

/// The number of events per append, so that the largest values stay within its limits.
const CHUNK: usize = 20;

/// Every section on every backend.
pub fn trials() -> Vec<Trial> {
    BACKENDS
        .into_iter()
        .flat_map(|backend| {
            [
                on(backend, "vectors: an accepted value is read back byte for byte", None, Inserts::Few, accepted),
                on(
                    backend,
                    "vectors: a refused value is refused before anything is written",
                    None,
                    Inserts::Few,
                    refused,
                ),
                on(
                    backend,
                    "vectors: the same value again is a repeat, another one is a duplicate",
                    None,
                    Inserts::Few,
                    repeated,
                ),
            ]
        })
        .collect()
}

/// One value of the file, for one part of an event.
struct Vector {
    name: String,
    part: String,
    value: std::result::Result<Vec<String>, Vec<u8>>,
    error: Option<Value>,
}

impl Vector {
    /// The stream and the event with this value, or the error for bytes that are not text.
    fn event(&self) -> Result<(String, Event)> {
        let texts = match &self.value {
            Ok(texts) => texts.clone(),
            Err(bytes) => vec![json_text(bytes.clone())?],
        };
        let text = texts.first().cloned().unwrap_or_default();
        let event = Event::json_text("V", "{}");
        Ok(match self.part.as_str() {
            "data" => ("v".to_owned(), Event::json_text("V", text)),
            "metadata" => ("v".to_owned(), event.with_metadata(text)),
            "tags" | "tag" => ("v".to_owned(), event.with_tags(texts)),
            "type" => ("v".to_owned(), Event::json_text(text, "{}")),
            "schema" => ("v".to_owned(), event.with_schema(text)),
            "stream" => (text, event),
            other => panic!("unknown part '{other}'"),
        })
    }
}

fn file() -> Value {
    let text = std::fs::read_to_string(TESTS.join("vectors/values.json")).expect("the file of vectors is read");
    serde_json::from_str(&text).expect("the file is JSON")
}

/// The values of a list (`accepted` or `refused`), of all sections.
fn vectors(list: &str) -> Vec<Vector> {
    let file = file();
    let mut found = values(&file[list], |_| vec!["data".to_owned()]);
    found.extend(values(&file["metadata"][list], |_| vec!["metadata".to_owned()]));
    found.extend(values(&file["tags"][list], |_| vec!["tags".to_owned()]));
    found.extend(values(&file["names"][list], |case| {
        case["as"].as_array().expect("as is a list").iter().map(text_of).collect()
    }));
    assert!(found.len() > 50, "the list has more than 50 values");
    found
}

fn values(list: &Value, parts: impl Fn(&Value) -> Vec<String>) -> Vec<Vector> {
    let cases = list.as_array().expect("the values are a list").iter();
    cases.flat_map(|case| parts(case).into_iter().map(|part| vector(case, part)).collect::<Vec<_>>()).collect()
}

fn vector(case: &Value, part: String) -> Vector {
    let error = case.get("code").map(|code| {
        let mut fields = case["fields"].as_object().cloned().expect("fields is an object");
        if matches!(part.as_str(), "stream" | "type" | "tag" | "schema") {
            let key = if code == "limit-exceeded" { "what" } else { "argument" };
            fields.insert(key.to_owned(), json!(part));
        }
        json!({"code": code, "fields": fields})
    });
    Vector { name: text_of(&case["name"]), value: value_of(case), part, error }
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("the value is text").to_owned()
}

fn value_of(case: &Value) -> std::result::Result<Vec<String>, Vec<u8>> {
    let case = case.as_object().expect("the value is an object");
    let forms = ["text", "repeat", "hex", "utf16", "tags", "numbered"];
    let form = forms
        .into_iter()
        .find(|form| case.contains_key(*form))
        .unwrap_or_else(|| panic!("the value has an unknown form: {case:?}"));
    match form {
        "text" => Ok(vec![text_of(&case["text"])]),
        "repeat" => Ok(vec![repeat(case["repeat"].as_object().expect("the repeat is an object"))]),
        "hex" => Err(hex(case["hex"].as_str().expect("hex is text"))),
        "utf16" => Err(case["utf16"]
            .as_array()
            .expect("utf16 is a list")
            .iter()
            .flat_map(|unit| generalised_utf8(unit.as_u64().expect("a code unit is a number")))
            .collect()),
        "tags" => Ok(case["tags"].as_array().expect("tags is a list").iter().map(text_of).collect()),
        _ => Ok((1..=case["numbered"].as_u64().expect("numbered is a number"))
            .map(|number| format!("tag-{number}"))
            .collect()),
    }
}

fn repeat(repeat: &Map<String, Value>) -> String {
    let part = |key: &str| repeat.get(key).map(text_of).unwrap_or_default();
    let times = usize::try_from(repeat["times"].as_u64().expect("times is a number")).expect("times fits into memory");
    [part("start"), part("open").repeat(times), part("middle"), part("close").repeat(times), part("end")].concat()
}

fn hex(digits: &str) -> Vec<u8> {
    let digit = |place: usize| u8::from_str_radix(&digits[place..place + 2], 16).expect("hex has two digits per byte");
    (0..digits.len()).step_by(2).map(digit).collect()
}

/// The UTF-8 encoding of a code unit as a code point, even if it is a surrogate.
fn generalised_utf8(unit: u64) -> Vec<u8> {
    let unit = u16::try_from(unit).expect("a code unit has 16 bits");
    let low = |shift: u16| 0x80 | u8::try_from(unit >> shift & 0x3f).expect("six bits fit into a byte");
    let high = |shift: u16| u8::try_from(unit >> shift).expect("at most six bits are left");
    match unit {
        0..0x80 => vec![high(0)],
        0x80..0x800 => vec![0xc0 | high(6), low(0)],
        _ => vec![0xe0 | high(12), low(6), low(0)],
    }
}

async fn accepted(room: Room) {
    let store = room.store().await;
    let mut sent: BTreeMap<String, Vec<(String, Event)>> = BTreeMap::new();
    for vector in vectors("accepted") {
        let (stream, event) =
            vector.event().unwrap_or_else(|error| panic!("{} ({}): {error}", vector.name, vector.part));
        sent.entry(stream).or_default().push((vector.name, event));
    }
    for (stream, events) in &sent {
        for chunk in events.chunks(CHUNK) {
            let done =
                store.append(stream.as_str(), chunk.iter().map(|(_, event)| event.clone()), ExpectedVersion::Any).await;
            done.unwrap_or_else(|error| {
                panic!("one of {:?}: {error}", chunk.iter().map(|(name, _)| name).collect::<Vec<_>>())
            });
        }
        let recorded: Vec<RecordedEvent> =
            store.read(stream.as_str(), 1..).try_collect().await.expect("the stream is read");
        assert_eq!(recorded.len(), events.len(), "every event of {stream} is read");
        for ((name, event), recorded) in events.iter().zip(&recorded) {
            assert_same(name, event, recorded);
        }
    }
    let in_log =
        store.read_all(Default::default()).try_fold(0, async |count, _| Ok(count + 1)).await.expect("the log is read");
    assert_eq!(in_log, sent.values().map(Vec::len).sum::<usize>());
}

fn assert_same(name: &str, event: &Event, recorded: &RecordedEvent) {
    assert!(recorded.data == event.data, "{name}: the data is the same");
    assert_eq!(recorded.metadata, event.metadata, "{name}");
    assert_eq!(
        (&recorded.event_type, &recorded.tags, &recorded.schema, recorded.id),
        (&event.event_type, &event.tags, &event.schema, event.id),
        "{name}"
    );
}

async fn refused(room: Room) {
    let store = room.store().await;
    for vector in vectors("refused") {
        let appended = match vector.event() {
            Ok((stream, event)) => store.append(stream, [event], ExpectedVersion::Any).await,
            Err(error) => Err(error),
        };
        let Err(error) = appended else { panic!("{} ({}) was accepted", vector.name, vector.part) };
        assert_eq!(Some(&code_and_fields(&error)), vector.error.as_ref(), "{} ({})", vector.name, vector.part);
    }
    assert_eq!(store.head().await.expect("the head is read"), 0, "nothing is written");
}

fn code_and_fields(error: &Error) -> Value {
    let data: Value = serde_json::from_str(&error.to_json()).expect("the error is JSON");
    json!({"code": data["code"], "fields": data["fields"]})
}

async fn repeated(room: Room) {
    let store = room.store().await;
    let file = file();
    for (list, is_same) in [("same", true), ("different", false)] {
        for case in file[list].as_array().expect("the pairs are a list") {
            let second = second_append(&store, &text_of(&case["a"]), &text_of(&case["b"])).await;
            match second {
                Ok(done) => assert!(is_same && done.repeated, "{list}: {} returned 'repeated'", case["name"]),
                Err(error) => {
                    assert!(!is_same && error.code() == "duplicate-event", "{list}: {}: {error}", case["name"])
                }
            }
        }
    }
}

async fn second_append(store: &EventStore, first: &str, second: &str) -> Result<streamkeep::AppendResult> {
    let event = Event::json_text("V", first);
    store.append("v", [event.clone()], ExpectedVersion::Any).await.expect("the first append commits");
    store.append("v", [Event::json_text("V", second).with_id(event.id)], ExpectedVersion::Any).await
}
