//! Node: the native module's methods and options in Rust, their typings, and TypeScript's options with their checks.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::description::{Kind, Method, Parameter, Shape, Structure, Surface, Words};
use crate::files::File;
use crate::names::pascal;
use crate::template::render;

const LANGUAGE: &str = "node";

#[derive(Serialize)]
struct Context<'a> {
    methods: Vec<Call<'a>>,
    results: Vec<Told<'a>>,
    values: Vec<Choice<'a>>,
    query_item: &'a Structure,
}

#[derive(Serialize)]
struct Call<'a> {
    name: &'a str,
    doc: &'a str,
    shape: Shape,
    long: bool,
    arguments: Vec<Taken<'a>>,
    options: Vec<Taken<'a>>,
    /// The struct of core that has its options.
    options_type: Option<&'a str>,
    /// The interface of its options in TypeScript.
    interface: String,
    /// Whether it shares that interface, and so the checks, with all calls that only end early.
    shares: bool,
    /// Whether an option depends on the types of the application's events.
    generic: bool,
    timeout_of_the_handle: bool,
    /// The arguments of the call of core.
    given: String,
    /// The function that converts the answer.
    answer: String,
    /// Whether the answer is packed before it reaches JavaScript's thread.
    packed: bool,
}

#[derive(Serialize)]
struct Taken<'a> {
    /// Its name in core, and in JavaScript with the unit.
    name: &'a str,
    named: String,
    doc: String,
    /// Whether it stays in TypeScript.
    stays: bool,
    /// Whether it is one of core's options, or arguments.
    of_core: bool,
    /// Whether core's option always has a value.
    always: bool,
    rust: String,
    convert: String,
    native: String,
    typescript: String,
    check: String,
}

#[derive(Serialize)]
struct Told<'a> {
    name: &'a str,
    #[serde(flatten)]
    structure: &'a Structure,
}

#[derive(Serialize)]
struct Choice<'a> {
    name: &'a str,
    #[serde(flatten)]
    words: &'a Words,
    /// The words of the error for a value that is none of them.
    must_be: String,
}

/// The generated files.
///
/// # Errors
/// If Node has no conversion for a type.
pub fn files(surface: &Surface) -> Result<Vec<File>> {
    let context = context(surface)?;
    let rendered = |name, text| render(name, text, &context);
    let rust = rendered("native.rs", include_str!("../templates/node/native.rs"))?;
    let native = rendered("native.ts", include_str!("../templates/node/native.ts"))?;
    let options = rendered("options.ts", include_str!("../templates/node/options.ts"))?;
    let results = rendered("results.ts", include_str!("../templates/node/results.ts"))?;
    Ok(vec![
        File::new("bindings-node/src/store/generated.rs", &rust)?,
        File::new("bindings-node/typescript/native.ts", &native)?,
        File::new("bindings-node/typescript/options.ts", &options)?,
        File::new("bindings-node/typescript/results.ts", &results)?,
    ])
}

fn context(surface: &Surface) -> Result<Context<'_>> {
    let Some(query_item) = surface.types.get("query_item") else { bail!("there is no query_item") };
    let plain = |structure: &&Structure| structure.result && structure.fields.iter().all(|field| !field.kind.list);
    Ok(Context {
        methods: surface.methods(LANGUAGE).map(|(name, method)| call(surface, name, method)).collect::<Result<_>>()?,
        results: surface
            .types
            .iter()
            .filter(|(_, structure)| plain(structure))
            .map(|(name, structure)| Told { name, structure })
            .collect(),
        values: surface
            .values
            .iter()
            .map(|(name, words)| Choice { name, words, must_be: must_be(name, words) })
            .collect(),
        query_item,
    })
}

fn call<'a>(surface: &Surface, name: &'a str, method: &'a Method) -> Result<Call<'a>> {
    let of_core: BTreeSet<&str> = method.options("rust").map(|option| option.name.as_str()).collect();
    let options: Vec<Taken<'_>> = method
        .options(LANGUAGE)
        .map(|option| taken(surface, option, of_core.contains(option.name.as_str())))
        .collect::<Result<_>>()?;
    let arguments: Vec<Taken<'_>> =
        method.arguments.iter().map(|argument| taken(surface, argument, true)).collect::<Result<_>>()?;
    let own = options.iter().filter(|option| option.of_core && !option.stays && method.options_type.is_none());
    let given = arguments.iter().chain(own).map(|parameter| parameter.name);
    let names: Vec<&str> = options.iter().map(|option| option.name).collect();
    let shares = names == ["timeout", "signal"];
    let (answer, packed) = answer(surface, method)?;
    Ok(Call {
        name,
        doc: &method.doc,
        shape: method.shape,
        long: method.long,
        options_type: method.options_type.as_deref(),
        interface: if shares { "CallOptions".to_owned() } else { format!("{}Options", pascal(name)) },
        shares,
        generic: method.options.iter().any(|option| option.kind.is("query")),
        timeout_of_the_handle: names.contains(&"timeout") && !of_core.contains("timeout"),
        given: given.chain(method.options_type.iter().map(|_| "options")).collect::<Vec<_>>().join(", "),
        answer,
        packed,
        arguments,
        options,
    })
}

fn taken<'a>(surface: &Surface, parameter: &'a Parameter, of_core: bool) -> Result<Taken<'a>> {
    let Parameter { name, kind, doc, .. } = parameter;
    let conversion = conversion(surface, kind)?;
    let [rust, convert, native, typescript, check] = conversion;
    Ok(Taken {
        name,
        named: if kind.is("duration") { format!("{name}_ms") } else { name.clone() },
        doc: format!("{doc}{}", default(parameter)),
        stays: rust.is_empty(),
        of_core,
        always: parameter.default.is_some(),
        rust,
        convert,
        native,
        typescript,
        check,
    })
}

/// The sentence about an option that is not given, if its documentation does not have one.
fn default(parameter: &Parameter) -> String {
    match &parameter.default {
        None | Some(Value::Array(_)) => String::new(),
        Some(Value::String(word)) if word == "unbounded" => " By default there is no bound.".to_owned(),
        Some(Value::String(word)) => format!(" The default is `{word}`."),
        Some(Value::Number(number)) => format!(" The default is {}.", grouped(&number.to_string())),
        Some(other) => format!(" The default is {other}."),
    }
}

/// `30000` to `30,000`.
fn grouped(digits: &str) -> String {
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// The type in Rust and the function that converts it, the types in the native module's typings and in TypeScript, and the
/// check of an option. What stays in TypeScript has no type in Rust.
fn conversion(surface: &Surface, kind: &Kind) -> Result<[String; 5]> {
    let row = match (kind.name.as_str(), kind.list) {
        ("text", false) => ["String", "same", "string", "string", "wellFormed"],
        ("number", false) => ["i64", "number", "number", "number", "count"],
        ("small_number", false) => ["i64", "small_number", "number", "number", "count"],
        ("flag", false) => ["bool", "same", "boolean", "boolean", "flag"],
        ("duration", false) => ["i64", "millis", "number", "number", "count"],
        ("query", false) => ["Vec<QueryItemIn>", "query", "NativeQueryItem[]", "Query<T>", "query"],
        ("snapshot", false) => ["SnapshotIn", "snapshot", "NativeNewSnapshot", "", ""],
        ("event", true) => ["Vec<EventIn>", "events", "NativeEvent[]", "", ""],
        ("import_event", true) => ["Vec<EventIn>", "import_events", "NativeEvent[]", "", ""],
        ("signal", false) => ["", "", "", "Signal", "signal"],
        ("callback", false) => ["", "", "", "(() => void | Promise<void>)", "callback"],
        (name, false) => match surface.values.get(name) {
            Some(words) => return Ok(choice(name, words)),
            None => bail!("no conversion of {kind}"),
        },
        _ => bail!("no conversion of {kind}"),
    };
    Ok(row.map(str::to_owned))
}

fn choice(name: &str, words: &Words) -> [String; 5] {
    let quoted: Vec<String> = words.words.iter().map(|word| format!("'{}'", word.name)).collect();
    let (rust, native, check) = match words.or_number {
        Some(_) => ("Either<String, i64>", "string | number", "wordOrVersion"),
        None => ("String", "string", "word"),
    };
    let check = format!("{check}({})", quoted.join(", "));
    [rust.to_owned(), format!("{name}_of"), native.to_owned(), pascal(name), check]
}

fn must_be(name: &str, words: &Words) -> String {
    let quoted: Vec<String> = words.words.iter().map(|word| format!("'{}'", word.name)).collect();
    let (last, others) = quoted.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
    let version = if words.or_number.is_some() { "a version, " } else { "" };
    format!("{name} must be {version}{} or {last}", others.join(", "))
}

/// The function that converts an answer, and whether the answer is packed before.
fn answer(surface: &Surface, method: &Method) -> Result<(String, bool)> {
    let Some(kind) = &method.returns else { return Ok(("|()| ()".to_owned(), false)) };
    if method.shape != Shape::Answer {
        return Ok((String::new(), false));
    }
    let structure = surface.types.get(&kind.name);
    Ok(match (kind.name.as_str(), kind.list, kind.optional) {
        ("number", false, false) => ("exact".to_owned(), false),
        ("page", false, false) | ("recorded_event", false, true) => ("PageOut::from".to_owned(), true),
        ("snapshot", false, true) => ("|found: Option<_>| found.map(SnapshotOut::from)".to_owned(), false),
        (name, false, false) if structure.is_some_and(|structure| structure.result) => {
            (format!("{}Out::from", pascal(name)), false)
        }
        _ => bail!("no way to tell {kind}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(["7", "250", "30000", "1234567"].map(grouped), ["7", "250", "30,000", "1,234,567"]);
    }
}
