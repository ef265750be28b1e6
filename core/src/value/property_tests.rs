//! Properties of the check and of equality, for values in random spellings and for damaged texts.

#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "the numbers of a test are small")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{check_json, same_json};

/// A JSON value. A number is `digits × 10^power` without zeros at the end of the digits, so equal values are equal
/// here.
#[derive(Clone, Debug, PartialEq)]
enum Json {
    Word(&'static str),
    Number { digits: i64, power: i64 },
    Text(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

fn number(mut digits: i64, mut power: i64) -> Json {
    if digits == 0 {
        return Json::Number { digits: 0, power: 0 };
    }
    while digits % 10 == 0 {
        digits /= 10;
        power += 1;
    }
    Json::Number { digits, power }
}

/// Few letters, so that keys collide, and every kind of character that can be written in several ways.
fn text() -> impl Strategy<Value = String> {
    let letters = prop_oneof![4 => Just('a'), 2 => Just('b'), 1 => Just('"'), 1 => Just('\\'), 1 => Just('/'), 1 => Just('\n'), 1 => Just('é'), 1 => Just('😀'), 1 => any::<char>()];
    vec(letters, 0..12).prop_map(|letters| letters.into_iter().collect())
}

fn key() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.replace('\0', ""))
}

fn json() -> impl Strategy<Value = Json> {
    let power = prop_oneof![8 => -3..4_i64, 1 => -500..500_i64, 1 => Just(999_999_999_999_999_999), 1 => Just(-999_999_999_999_999_999)];
    let leaf = prop_oneof![
        prop_oneof![Just("null"), Just("true"), Just("false")].prop_map(Json::Word),
        (prop_oneof![-20..20_i64, any::<i64>()], power).prop_map(|(digits, power)| number(digits, power)),
        text().prop_map(Json::Text),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Json::Array),
            btree_map(key(), inner, 0..25).prop_map(Json::Object)
        ]
    })
}

/// Writes values in one of their many spellings.
struct Speller {
    seed: u64,
    out: String,
}

fn spell(json: &Json, seed: u64) -> String {
    let mut speller = Speller { seed, out: String::new() };
    speller.space();
    speller.value(json);
    speller.space();
    speller.out
}

impl Speller {
    /// SplitMix64: the same seed gives the same choices.
    fn below(&mut self, bound: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn space(&mut self) {
        while self.below(4) == 0 {
            let space = self.one_of(&[' ', '\t', '\n', '\r']);
            self.out.push(space);
        }
    }

    fn between(&mut self, mark: char) {
        self.space();
        self.out.push(mark);
        self.space();
    }

    fn value(&mut self, json: &Json) {
        match json {
            Json::Word(word) => self.out.push_str(word),
            Json::Number { digits, power } => self.number(*digits, *power),
            Json::Text(text) => self.text(text),
            Json::Array(items) => self.array(items),
            Json::Object(members) => self.object(members),
        }
    }

    fn array(&mut self, items: &[Json]) {
        self.out.push('[');
        self.space();
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.between(',');
            }
            self.value(item);
        }
        self.space();
        self.out.push(']');
    }

    fn object(&mut self, members: &BTreeMap<String, Json>) {
        let mut shuffled: Vec<_> = members.iter().map(|member| (self.below(u64::MAX), member)).collect();
        shuffled.sort_by_key(|(place, _)| *place);
        self.out.push('{');
        self.space();
        for (index, (_, (key, value))) in shuffled.into_iter().enumerate() {
            if index > 0 {
                self.between(',');
            }
            self.text(key);
            self.between(':');
            self.value(value);
        }
        self.space();
        self.out.push('}');
    }

    /// Moves the decimal point, adds zeros at both ends, and adjusts the exponent.
    fn number(&mut self, digits: i64, power: i64) {
        if digits < 0 || (digits == 0 && self.below(2) == 0) {
            self.out.push('-');
        }
        let zeros = self.below(4) as usize;
        let mut written = format!("{}{}", digits.unsigned_abs(), "0".repeat(zeros));
        let fraction = self.below(6) as usize;
        if fraction >= written.len() {
            written.insert_str(0, &"0".repeat(fraction + 1 - written.len()));
        }
        if digits == 0 {
            written = "0".repeat(fraction + 1);
        }
        if fraction > 0 {
            written.insert(written.len() - fraction, '.');
        }
        self.out.push_str(&written);
        let exponent = power - zeros as i64 + fraction as i64;
        if digits == 0 && self.below(2) == 0 || digits != 0 && exponent == 0 && self.below(2) == 0 {
            return;
        }
        let mark = self.one_of(&["e", "E"]);
        let sign = if exponent < 0 { "-" } else { self.one_of(&["", "+"]) };
        let zeros = "0".repeat(self.one_of(&[0, 1, 30]));
        self.out.push_str(&format!("{mark}{sign}{zeros}{}", exponent.unsigned_abs()));
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for char in text.chars() {
            self.char(char);
        }
        self.out.push('"');
    }

    fn char(&mut self, char: char) {
        let short = match char {
            '"' => Some('"'),
            '\\' => Some('\\'),
            '/' => Some('/'),
            '\u{8}' => Some('b'),
            '\u{c}' => Some('f'),
            '\n' => Some('n'),
            '\r' => Some('r'),
            '\t' => Some('t'),
            _ => None,
        };
        let may_be_bare = char >= ' ' && char != '"' && char != '\\';
        match (self.below(3), short) {
            (0, Some(letter)) => self.out.extend(['\\', letter]),
            (0 | 1, _) if may_be_bare => self.out.push(char),
            _ => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    let hex = if self.below(2) == 0 { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") };
                    self.out.push_str(&hex);
                }
            }
        }
    }
}

/// How serde_json reads a text, with the contract's rules for keys added.
struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some((key, Self)) = members.next_entry::<String, Self>()? {
            if key.contains('\0') || !keys.insert(key) {
                return Err(A::Error::custom("a key"));
            }
        }
        Ok(self)
    }
}

fn accepted(text: &str) -> bool {
    check_json("data", text).is_ok()
}

/// Texts that are JSON or nearly JSON: sometimes a separator, a bracket or a leaf is wrong.
fn nearly_json() -> impl Strategy<Value = String> {
    const LEAVES: [&str; 30] = [
        "0",
        "-0",
        "10",
        "1.5",
        "1e2",
        "-1E-2",
        "true",
        "false",
        "null",
        "\"\"",
        "\"é\"",
        "\"\\n\"",
        "\"\\ud83d\\ude00\"",
        "[]",
        "{}",
        " 1 ",
        "\n2",
        "[ ]",
        "01",
        "1.",
        ".5",
        "1e",
        "-",
        "+1",
        "nul",
        "\"\\ud800\"",
        "\"\\x\"",
        "\"",
        "",
        "\u{a0}1",
    ];
    const KEYS: [&str; 10] =
        ["\"a\"", "\"b\"", "\"c\"", "\"d\" ", " \"\"", "\"\\u0061\"", "\"\\u0000\"", "\"\\udc00\"", "a", "1"];
    let leaf = prop_oneof![9 => prop::sample::select(&LEAVES[..18]), 1 => prop::sample::select(&LEAVES[18..])]
        .prop_map(str::to_owned);
    let key = || prop_oneof![9 => prop::sample::select(&KEYS[..6]), 1 => prop::sample::select(&KEYS[6..])];
    let mark = |right: &'static str| prop_oneof![30 => Just(right), 1 => prop::sample::select(&["", ",", ",,", ":", "]", "}", " "][..])];
    leaf.prop_recursive(4, 20, 4, move |inner| {
        let items = vec((inner.clone(), mark(",")), 1..4);
        let members = vec((key(), mark(":"), inner, mark(",")), 1..4);
        // The closing bracket replaces the last separator.
        let array = (items, mark("]")).prop_map(|(items, end)| {
            let all: Vec<String> = items.iter().map(|(item, comma)| format!("{item}{comma}")).collect();
            format!("[{}{end}", all.concat().trim_end_matches(','))
        });
        let object = (members, mark("}")).prop_map(|(members, end)| {
            let all: Vec<String> =
                members.iter().map(|(key, colon, value, comma)| format!("{key}{colon}{value}{comma}")).collect();
            format!("{{{}{end}", all.concat().trim_end_matches(','))
        });
        prop_oneof![array, object]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_spelling_of_a_value_is_accepted_and_the_same(json in json(), seeds in any::<(u64, u64)>()) {
        let (one, other) = (spell(&json, seeds.0), spell(&json, seeds.1));
        prop_assert!(accepted(&one), "{one}");
        prop_assert!(same_json(&one, &one) && same_json(&one, &other) && same_json(&other, &one), "{one}\n{other}");
    }

    #[test]
    fn values_are_the_same_exactly_if_they_are_equal(one in json(), other in json(), seeds in any::<(u64, u64)>()) {
        let (a, b) = (spell(&one, seeds.0), spell(&other, seeds.1));
        prop_assert_eq!(same_json(&a, &b), one == other, "{}\n{}", a, b);
        prop_assert_eq!(same_json(&b, &a), one == other);
    }

    /// Two large values that differ in one place only.
    #[test]
    fn one_difference_far_down_is_seen(around in vec(json(), 0..4), one in json(), other in json(), seeds in any::<(u64, u64)>()) {
        let within = |value: &Json| Json::Object(BTreeMap::from([("a".to_owned(), Json::Array(around.iter().chain([value]).cloned().collect())), ("b".to_owned(), Json::Array(around.clone()))]));
        let (a, b) = (spell(&within(&one), seeds.0), spell(&within(&other), seeds.1));
        prop_assert_eq!(same_json(&a, &b), one == other, "{}\n{}", a, b);
    }

    #[test]
    fn nearly_json_is_judged_as_serde_json_does(text in nearly_json()) {
        prop_assert_eq!(accepted(&text), serde_json::from_str::<Strict>(&text).is_ok(), "{}", text);
    }

    /// A byte is changed, removed or added: there is no panic, and the result is the same as serde_json's where
    /// serde_json has no rules of its own.
    #[test]
    fn damaged_json_is_judged_as_serde_json_does(json in json(), seeds in any::<(u64, u64)>(), at in any::<prop::sample::Index>(), with in vec(any::<u8>(), 0..3), removed in 0..3_usize) {
        let whole = spell(&json, seeds.0);
        let mut bytes = whole.clone().into_bytes();
        let at = at.index(bytes.len());
        let end = (at + removed).min(bytes.len());
        bytes.splice(at..end, with);
        let text = String::from_utf8_lossy(&bytes);
        let _no_panic = same_json(&whole, &text);
        let expected = serde_json::from_str::<Strict>(&text);
        // Only serde_json refuses a number that does not fit a double.
        if !matches!(&expected, Err(error) if error.to_string().contains("number out of range")) {
            prop_assert_eq!(accepted(&text), expected.is_ok(), "{}", text);
        }
    }

    #[test]
    fn any_text_at_all_gets_an_answer(a in any::<String>(), b in any::<String>()) {
        prop_assert_eq!(accepted(&a), serde_json::from_str::<Strict>(&a).is_ok());
        prop_assert_eq!(same_json(&a, &b), same_json(&b, &a));
    }
}
