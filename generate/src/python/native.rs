//! What the template of the native module's Rust needs.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde::Serialize;

use super::{LANGUAGE, parameters};
use crate::description::{Kind, Method, Parameter, Shape, Surface, Words};

#[derive(Serialize)]
pub(super) struct Context<'a> {
    methods: Vec<Call<'a>>,
    results: Vec<Told<'a>>,
    values: Vec<Value<'a>>,
}

#[derive(Serialize)]
struct Call<'a> {
    name: &'a str,
    doc: &'a str,
    shape: Shape,
    long: bool,
    parameters: Vec<Taken<'a>>,
    options_type: Option<&'a str>,
    /// Whether core takes the timeout from the handle.
    timeout_of_the_handle: bool,
    /// The arguments of the call of core.
    given: String,
    /// The closure that converts the answer.
    answer: String,
}

#[derive(Serialize)]
struct Taken<'a> {
    name: &'a str,
    /// Whether the caller always gives it.
    required: bool,
    /// Whether it is a field of the options.
    option: bool,
    /// The expression that converts it.
    read: String,
    /// The function in that expression.
    convert: String,
}

#[derive(Serialize)]
struct Told<'a> {
    name: &'a str,
    fields: Vec<String>,
}

#[derive(Serialize)]
struct Value<'a> {
    name: &'a str,
    #[serde(flatten)]
    words: &'a Words,
    /// The words of the error for a value that is none of them.
    must_be: String,
    /// Whether only `open` takes it, whose options are configuration.
    configures: bool,
}

pub(super) fn context(surface: &Surface) -> Result<Context<'_>> {
    let methods = surface.methods(LANGUAGE).filter(|(_, method)| method.shape != Shape::Close);
    let results = surface.types.iter().filter(|(_, structure)| structure.result).map(|(name, structure)| {
        let told = structure.fields.iter().map(|field| told(surface, &field.kind, &format!("result.{}", field.name)));
        Ok(Told { name, fields: told.collect::<Result<_>>()? })
    });
    Ok(Context {
        methods: methods.map(|(name, method)| call(surface, name, method)).collect::<Result<_>>()?,
        results: results.collect::<Result<_>>()?,
        values: surface.values.iter().map(|(name, words)| value(surface, name, words)).collect(),
    })
}

fn call<'a>(surface: &Surface, name: &'a str, method: &'a Method) -> Result<Call<'a>> {
    let of_core: BTreeSet<&str> = method.options("rust").map(|option| option.name.as_str()).collect();
    let options: BTreeSet<&str> = method.options(LANGUAGE).map(|option| option.name.as_str()).collect();
    // A subscription's timeout is one of the iteration.
    let native = |parameter: &&Parameter| method.shape != Shape::Subscription || parameter.name != "idle_timeout";
    let given = method.arguments.iter().map(|argument| argument.name.as_str());
    let given: Vec<&str> = match method.options_type {
        Some(_) => given.chain(["options"]).collect(),
        None => given.chain(options.iter().copied().filter(|option| of_core.contains(option))).collect(),
    };
    Ok(Call {
        name,
        doc: &method.doc,
        shape: method.shape,
        long: method.long,
        parameters: parameters(method)
            .filter(native)
            .map(|parameter| taken(surface, method, parameter, of_core.contains(parameter.name.as_str())))
            .collect::<Result<_>>()?,
        options_type: method.options_type.as_deref(),
        timeout_of_the_handle: options.contains("timeout") && !of_core.contains("timeout"),
        given: given.join(", "),
        answer: answer(surface, method)?,
    })
}

fn taken<'a>(surface: &Surface, method: &Method, parameter: &'a Parameter, option: bool) -> Result<Taken<'a>> {
    let name = parameter.name.as_str();
    let convert = converter(surface, &parameter.kind)?;
    let argument = method.arguments.iter().any(|argument| argument.name == *name);
    let required = argument || (method.shape != Shape::Open && parameter.has_default());
    let read = match (required, parameter.is_unbounded()) {
        (true, _) => format!(r#"{convert}("{name}", {name})?"#),
        (false, false) => format!(r#"optional("{name}", {name}, {convert})?"#),
        (false, true) => format!(r#"optional("{name}", {name}, {convert})?.unwrap_or(u64::MAX)"#),
    };
    Ok(Taken { name, required, option, read, convert })
}

/// The function that converts an argument.
fn converter(surface: &Surface, kind: &Kind) -> Result<String> {
    let name = match (kind.name.as_str(), kind.list) {
        ("text", false) => "text",
        ("number", false) => "number",
        ("small_number", false) => "convert::small_number",
        ("flag", false) => "convert::flag",
        ("duration", false) => "seconds",
        ("query", false) => "convert::query",
        ("snapshot", false) => "convert::snapshot",
        ("event", true) => "convert::events",
        ("import_event", true) => "convert::imports",
        // Not the bare name, which the argument has.
        (name, false) if surface.values.contains_key(name) => return Ok(format!("{name}_of")),
        _ => bail!("no conversion of {kind}"),
    };
    Ok(name.to_owned())
}

fn answer(surface: &Surface, method: &Method) -> Result<String> {
    let Some(kind) = &method.returns else { return Ok("|py, ()| Ok(py.None())".to_owned()) };
    if method.shape != Shape::Answer {
        return Ok(String::new());
    }
    if !kind.optional {
        return Ok(format!("|py, answer| {}.into_py_any(py)", told(surface, kind, "answer")?));
    }
    let one = told(surface, &Kind { optional: false, ..kind.clone() }, "answer")?;
    Ok(format!("|py, found| match found {{ Some(answer) => {one}.into_py_any(py), None => Ok(py.None()) }}"))
}

/// The expression that converts an answer, or a part of one.
fn told(surface: &Surface, kind: &Kind, value: &str) -> Result<String> {
    let result = |name: &str| surface.types.get(name).is_some_and(|structure| structure.result);
    Ok(match (kind.name.as_str(), kind.list, kind.optional) {
        ("number" | "flag", false, false) => value.to_owned(),
        ("text", false, false) => format!("{value}.as_str()"),
        ("recorded_event", true, false) => format!("convert::recorded(py, &{value})?"),
        ("recorded_event", false, false) => {
            format!("convert::recorded(py, std::slice::from_ref(&{value}))?.get_item(0)?")
        }
        ("snapshot", false, false) => format!("convert::saved(py, &{value})?"),
        (name, false, false) if result(name) => format!("{name}(py, &{value})?"),
        _ => bail!("no way to tell {kind}"),
    })
}

fn value<'a>(surface: &Surface, name: &'a str, words: &'a Words) -> Value<'a> {
    let quoted: Vec<String> = words.words.iter().map(|word| format!("'{}'", word.name)).collect();
    let constants: Vec<String> = words.words.iter().map(|word| crate::names::constant(&word.name)).collect();
    let must_be = match words.or_number {
        Some(_) => format!("{name} must be {} or a version", constants.join(", ")),
        None => format!("{name} must be {}", quoted.join(" or ")),
    };
    let mut takers = surface
        .methods(LANGUAGE)
        .filter(|(_, method)| method.options.iter().any(|option| option.kind.name == name))
        .map(|(_, method)| method.shape);
    Value { name, words, must_be, configures: takers.all(|shape| shape == Shape::Open) }
}
