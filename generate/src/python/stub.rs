//! What the templates of the typings and of the dataclasses need.

use anyhow::{Result, bail};
use serde::Serialize;

use super::{LANGUAGE, parameters};
use crate::description::{Kind, Method, Shape, Structure, Surface};
use crate::names::pascal;

/// The longest line that is not wrapped.
const WIDTH: usize = 120;

#[derive(Serialize)]
pub(super) struct Context<'a> {
    methods: Vec<Typed<'a>>,
    types: Vec<Fields<'a>>,
    /// The types that methods name, in the order of the formatter.
    imported: Vec<String>,
    results: Vec<Class<'a>>,
}

#[derive(Serialize)]
struct Typed<'a> {
    name: &'a str,
    shape: Shape,
    parameters: Vec<(&'a str, String)>,
    answer: String,
}

/// A type as a tuple.
#[derive(Serialize)]
struct Fields<'a> {
    name: &'a str,
    /// The fields in words.
    words: String,
    /// Their types.
    types: String,
}

/// A result as a dataclass.
#[derive(Serialize)]
struct Class<'a> {
    name: &'a str,
    doc: String,
    fields: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
struct Attribute<'a> {
    name: &'a str,
    typed: String,
    made: String,
    doc: &'a str,
}

pub(super) fn context(surface: &Surface) -> Result<Context<'_>> {
    let methods = surface.methods(LANGUAGE).map(|(name, method)| typed(surface, name, method));
    let types = surface.types.iter().map(|(name, structure)| fields(surface, name, structure));
    let results = surface.types.iter().filter(|(_, structure)| structure.result);
    let aliases =
        surface.types.keys().filter(|name| *name != "query_item").map(|name| format!("{}Fields", pascal(name)));
    let mut imported: Vec<String> = aliases.chain(["Items".to_owned()]).collect();
    imported.sort();
    Ok(Context {
        imported,
        methods: methods.collect::<Result<_>>()?,
        types: in_order(types.collect::<Result<_>>()?),
        results: results.map(|(name, structure)| class(name, structure)).collect::<Result<_>>()?,
    })
}

/// Puts a type behind those that it uses.
fn in_order(mut types: Vec<Fields<'_>>) -> Vec<Fields<'_>> {
    let alias = |name: &str| format!("{}Fields", pascal(name));
    let mut ordered: Vec<Fields<'_>> = Vec::new();
    while !types.is_empty() {
        let waiting: Vec<String> = types.iter().map(|one| alias(one.name)).collect();
        let ready = types
            .iter()
            .position(|one| waiting.iter().filter(|other| **other != alias(one.name)).all(|other| !one.uses(other)));
        ordered.push(types.remove(ready.unwrap_or_default()));
    }
    ordered
}

impl Fields<'_> {
    fn uses(&self, alias: &str) -> bool {
        self.types.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == alias)
    }
}

fn typed<'a>(surface: &Surface, name: &'a str, method: &'a Method) -> Result<Typed<'a>> {
    let native = parameters(method).filter(|one| method.shape != Shape::Subscription || one.name != "idle_timeout");
    let parameters = native.map(|parameter| {
        let crossing = crossing(surface, &parameter.kind)?;
        let is_argument = method.arguments.iter().any(|argument| argument.name == parameter.name);
        let optional = !is_argument && (method.shape == Shape::Open || !parameter.has_default());
        Ok((parameter.name.as_str(), if optional { format!("{crossing} | None") } else { crossing }))
    });
    let answer = match (&method.returns, method.shape) {
        (_, Shape::Events | Shape::Subscription) => "Cursor".to_owned(),
        (_, Shape::Open) => "Store".to_owned(),
        (None, _) => "None".to_owned(),
        (Some(kind), _) => crossing(surface, kind)?,
    };
    Ok(Typed { name, shape: method.shape, parameters: parameters.collect::<Result<_>>()?, answer })
}

/// The type of a value that crosses to the native module or back.
fn crossing(surface: &Surface, kind: &Kind) -> Result<String> {
    let one = match kind.name.as_str() {
        "text" => "str".to_owned(),
        "number" | "small_number" | "time" => "int".to_owned(),
        "flag" => "bool".to_owned(),
        "duration" => "float".to_owned(),
        "query" => "Items".to_owned(),
        "id" | "json_object" => "bytes".to_owned(),
        "payload" => "bool, bytes".to_owned(),
        name => match (surface.values.get(name), surface.types.get(name)) {
            (Some(words), _) if words.or_number.is_some() => "int | str".to_owned(),
            (Some(words), _) => {
                let quoted: Vec<String> = words.words.iter().map(|word| format!("\"{}\"", word.name)).collect();
                format!("Literal[{}]", quoted.join(", "))
            }
            (None, Some(_)) => format!("{}Fields", pascal(name)),
            (None, None) => bail!("no type for {kind}"),
        },
    };
    let listed = match (kind.list, kind.is_text_list()) {
        (true, true) => format!("tuple[{one}, ...]"),
        (true, false) => format!("list[{one}]"),
        (false, _) => one,
    };
    Ok(if kind.optional { format!("{listed} | None") } else { listed })
}

impl Kind {
    /// Texts do not change, so they cross as tuples, which do not change either.
    fn is_text_list(&self) -> bool {
        self.list && self.name == "text"
    }
}

fn fields<'a>(surface: &Surface, name: &'a str, structure: &'a Structure) -> Result<Fields<'a>> {
    let (mut words, mut types) = (Vec::new(), Vec::new());
    for field in structure.fields.iter().filter(|field| !field.derived) {
        types.push(crossing(surface, &field.kind)?);
        let word = field.name.replace('_', " ");
        match field.kind.name.as_str() {
            "payload" => words.extend(["is JSON".to_owned(), word]),
            "time" => words.push(format!("{word} in microseconds since 1970")),
            _ => words.push(word),
        }
    }
    Ok(Fields { name, words: words.join(", "), types: types.join(", ") })
}

fn class<'a>(name: &'a str, structure: &'a Structure) -> Result<Class<'a>> {
    let attribute = |name: &'a str, kind: &Kind, doc: &'a str| {
        let (typed, made) = match (kind.name.as_str(), kind.list) {
            ("number", false) => ("int", name.to_owned()),
            ("flag", false) => ("bool", name.to_owned()),
            ("text", false) => ("str", name.to_owned()),
            ("recorded_event", true) => ("list[RecordedEvent]", format!("[recorded(event) for event in {name}]")),
            _ => bail!("no attribute for {kind}"),
        };
        let typed = if kind.optional { format!("{typed} | None") } else { typed.to_owned() };
        Ok(Attribute { name, typed, made, doc })
    };
    let fields = structure.fields.iter().map(|field| attribute(&field.name, &field.kind, &field.doc));
    let doc = structure
        .more
        .as_ref()
        .map_or_else(|| structure.doc.clone(), |more| format!("{}\n\n{}\n    ", structure.doc, wrapped(more, "    ")));
    Ok(Class { name, doc, fields: fields.collect::<Result<_>>()? })
}

/// Wraps prose, and indents each line.
fn wrapped(prose: &str, indent: &str) -> String {
    let mut lines = vec![indent.to_owned()];
    for word in prose.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                if line.trim().is_empty() {
                    line.push_str(word);
                } else {
                    line.push(' ');
                    line.push_str(word);
                }
            }
            _ => lines.push(format!("{indent}{word}")),
        }
    }
    lines.join("\n")
}
