//! Rust: the operations of the scenario runner. Core itself is written by hand.

use anyhow::{Result, bail};
use serde::Serialize;

use crate::description::{Kind, Method, Parameter, Shape, Surface, Words};
use crate::files::File;
use crate::template::render;

const LANGUAGE: &str = "rust";

#[derive(Serialize)]
struct Context<'a> {
    methods: Vec<Operation<'a>>,
    results: Vec<Answer<'a>>,
    values: Vec<(&'a String, &'a Words)>,
}

#[derive(Serialize)]
struct Operation<'a> {
    name: &'a str,
    shape: Shape,
    arguments: Vec<Argument<'a>>,
    options: Vec<Argument<'a>>,
    options_type: Option<&'a str>,
    /// Whether core takes the timeout from the handle.
    timeout_of_the_handle: bool,
    answer: String,
    /// Whether core answers nothing.
    nothing: bool,
}

/// An argument or option, and how the runner converts it.
#[derive(Serialize)]
struct Argument<'a> {
    name: &'a str,
    key: String,
    convert: String,
    /// Whether core's field holds a value in any case.
    always: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    name: &'a str,
    fields: Vec<(&'a str, String)>,
}

/// The generated files.
///
/// # Errors
/// If the runner has no conversion for a type.
pub fn files(surface: &Surface) -> Result<Vec<File>> {
    let shared = surface.methods(LANGUAGE).filter(|(_, method)| method.only.as_ref().is_none_or(|only| only.len() > 1));
    let methods = shared
        .filter(|(_, method)| method.shape != Shape::Value && method.shape != Shape::Close)
        .map(|(name, method)| operation(surface, name, method))
        .collect::<Result<_>>()?;
    let results = surface.types.iter().filter(|(_, structure)| structure.result).map(|(name, structure)| {
        let field = |name, kind| Ok((name, told(surface, kind, &format!("result.{name}"))?));
        let fields = structure.fields.iter().map(|one| field(one.name.as_str(), &one.kind)).collect::<Result<_>>()?;
        Ok(Answer { name, fields })
    });
    let context =
        Context { methods, results: results.collect::<Result<_>>()?, values: surface.values.iter().collect() };
    let text = render("operations.rs", include_str!("../templates/rust/operations.rs"), context)?;
    Ok(vec![File::new("tests/src/scenario/operations.rs", &text)?])
}

fn operation<'a>(surface: &Surface, name: &'a str, method: &'a Method) -> Result<Operation<'a>> {
    let given = |parameter: &'a Parameter| argument(surface, method, parameter);
    Ok(Operation {
        name,
        shape: method.shape,
        arguments: method.arguments.iter().map(given).collect::<Result<_>>()?,
        options: method
            .options(LANGUAGE)
            .filter(|option| !option.kind.is("pooler"))
            .map(given)
            .collect::<Result<_>>()?,
        options_type: method.options_type.as_deref(),
        timeout_of_the_handle: method.shape == Shape::Answer
            && method.options.iter().any(|option| option.name == "timeout")
            && method.options(LANGUAGE).all(|option| option.name != "timeout"),
        nothing: method.returns.is_none(),
        answer: match &method.returns {
            None => "Value::Null".to_owned(),
            Some(_) if method.shape == Shape::Open => String::new(),
            Some(kind) => told(surface, kind, "answer")?,
        },
    })
}

fn argument<'a>(surface: &Surface, method: &Method, parameter: &'a Parameter) -> Result<Argument<'a>> {
    let kind = &parameter.kind;
    let convert = match kind.name.as_str() {
        "duration" => "convert::millis".to_owned(),
        name @ ("text" | "number" | "small_number" | "flag" | "query" | "event" | "import_event" | "snapshot") => {
            format!("convert::{name}")
        }
        name if surface.values.contains_key(name) => name.to_owned(),
        name => bail!("no conversion of {name}, which {} takes", parameter.name),
    };
    let convert = if kind.list { format!("|given| convert::list(given, {convert})") } else { convert };
    let unit = if kind.is("duration") { "_ms" } else { "" };
    Ok(Argument {
        name: &parameter.name,
        key: format!("{}{unit}", parameter.name),
        convert,
        always: method.shape != Shape::Open && parameter.default.is_some(),
    })
}

/// How an answer, or a part of one, is told in the format of the scenarios.
fn told(surface: &Surface, kind: &Kind, value: &str) -> Result<String> {
    if kind.list {
        return match kind.name.as_str() {
            "recorded_event" => Ok(format!("convert::events_value(&{value})")),
            _ => bail!("no way to tell {kind}"),
        };
    }
    let one = match kind.name.as_str() {
        "number" | "flag" | "text" => return Ok(format!("json!({value})")),
        "recorded_event" => "convert::event_value".to_owned(),
        "snapshot" => "convert::snapshot_value".to_owned(),
        name if surface.types.get(name).is_some_and(|structure| structure.result) => format!("{name}_value"),
        _ => bail!("no way to tell {kind}"),
    };
    Ok(if kind.optional { format!("{value}.as_ref().map_or(Value::Null, {one})") } else { format!("{one}(&{value})") })
}
