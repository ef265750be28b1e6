//! The JVM: the operations of the native library, and in Kotlin their requests and the options.

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::Value;

use crate::description::{Kind, Method, Parameter, Shape, Surface};
use crate::files::File;
use crate::names::{camel, pascal};
use crate::template::render;

const LANGUAGE: &str = "jvm";

/// Stands for what a statement of Kotlin's writes.
const VALUE: &str = "VALUE";

/// The number of the first operation. Smaller ones are not of a store: a call's withdrawal, a reader's next page.
const FIRST_NUMBER: usize = 16;

#[derive(Serialize)]
struct Context<'a> {
    methods: Vec<Operation<'a>>,
    results: Vec<Told<'a>>,
    values: Vec<Words<'a>>,
}

#[derive(Serialize)]
struct Operation<'a> {
    name: &'a str,
    number: usize,
    shape: Shape,
    arguments: Vec<Taken<'a>>,
    options: Vec<Taken<'a>>,
    options_type: Option<&'a str>,
    /// Whether core takes the timeout from the handle.
    timeout_of_the_handle: bool,
    /// The arguments of the call of core.
    given: String,
    /// Rust's function that writes the answer.
    write: String,
    /// The parameters of Kotlin's function.
    signature: String,
    /// Kotlin's type of the answer, and the function that reads it.
    answer: String,
    read_answer: String,
}

/// An argument or option, in Rust and in Kotlin.
#[derive(Serialize)]
struct Taken<'a> {
    name: &'a str,
    doc: String,
    /// Whether it does not cross.
    stays: bool,
    /// Whether core takes it from the handle.
    of_the_handle: bool,
    /// How Rust reads it.
    read: String,
    /// How Kotlin writes it.
    write: String,
    /// Kotlin's types of the field and of what is given for it, and the field's default.
    kind: String,
    given: String,
    default: String,
}

#[derive(Serialize)]
struct Told<'a> {
    name: &'a str,
    fields: Vec<ToldField>,
}

#[derive(Serialize)]
struct ToldField {
    write: String,
}

#[derive(Serialize)]
struct Words<'a> {
    name: &'a str,
    rust: &'a str,
    or_number: Option<&'a str>,
    words: Vec<&'a str>,
}

/// The generated files.
///
/// # Errors
/// If the JVM has no conversion for a type.
pub fn files(surface: &Surface) -> Result<Vec<File>> {
    let context = context(surface)?;
    let operations = render("operations.rs", include_str!("../templates/jvm/operations.rs"), &context)?;
    let requests = render("Operations.kt", include_str!("../templates/jvm/Operations.kt"), &context)?;
    let options = render("Options.kt", include_str!("../templates/jvm/Options.kt"), &context)?;
    Ok(vec![
        File::new("bindings-kotlin/src/operations.rs", &operations)?,
        File::new("bindings-kotlin/kotlin/src/main/kotlin/dev/streamkeep/Operations.kt", &requests)?,
        File::new("bindings-kotlin/kotlin/src/main/kotlin/dev/streamkeep/Options.kt", &options)?,
    ])
}

fn context(surface: &Surface) -> Result<Context<'_>> {
    let methods = surface.methods(LANGUAGE).filter(|(_, method)| method.shape != Shape::Value).enumerate();
    let results = surface.types.iter().filter(|(_, structure)| structure.result).map(|(name, structure)| {
        let field = |name: &str, kind| Ok(ToldField { write: write(surface, kind, &format!("result.{name}"))? });
        let fields = structure.fields.iter().map(|one| field(&one.name, &one.kind)).collect::<Result<_>>()?;
        Ok(Told { name, fields })
    });
    let values = surface.values.iter().filter(|(name, _)| is_taken(surface, name)).map(|(name, words)| Words {
        name,
        rust: &words.rust,
        or_number: words.or_number.as_deref(),
        words: words.words.iter().map(|word| word.name.as_str()).collect(),
    });
    Ok(Context {
        methods: methods.map(|(at, (name, method))| operation(surface, at, name, method)).collect::<Result<_>>()?,
        results: results.collect::<Result<_>>()?,
        values: values.collect(),
    })
}

/// Whether a method of this language takes these words.
fn is_taken(surface: &Surface, words: &str) -> bool {
    surface.methods(LANGUAGE).any(|(_, method)| method.options(LANGUAGE).any(|option| option.kind.is(words)))
}

fn operation<'a>(surface: &'a Surface, at: usize, name: &'a str, method: &'a Method) -> Result<Operation<'a>> {
    let of_core = |option: &Parameter| method.options("rust").any(|one| one.name == option.name);
    let arguments: Vec<Taken<'a>> =
        method.arguments.iter().map(|one| taken(surface, method, one, true)).collect::<Result<_>>()?;
    let mut options: Vec<Taken<'a>> = Vec::new();
    for option in method.options(LANGUAGE) {
        let of_the_handle = method.options_type.is_none() && !of_core(option);
        options.push(Taken { of_the_handle, ..taken(surface, method, option, false)? });
    }
    let names = arguments.iter().map(|argument| argument.name);
    let (given, signature): (Vec<&str>, Vec<String>) = match &method.options_type {
        Some(class) => (names.chain(["options"]).collect(), vec![format!("options: {class}")]),
        None => (
            names.chain(options.iter().filter(|option| !option.of_the_handle).map(|option| option.name)).collect(),
            options.iter().map(|option| format!("{}: {}", camel(option.name), option.kind)).collect(),
        ),
    };
    let taken = arguments.iter().map(|argument| format!("{}: {}", camel(argument.name), argument.kind));
    let is_answer = method.shape == Shape::Answer;
    let (answer, read_answer, write) = if is_answer { answer(surface, method)? } else { Default::default() };
    Ok(Operation {
        name,
        number: FIRST_NUMBER + at,
        shape: method.shape,
        timeout_of_the_handle: options.iter().any(|option| option.of_the_handle && option.name == "timeout"),
        given: given.join(", "),
        signature: taken.chain(signature).collect::<Vec<_>>().join(", "),
        arguments,
        options,
        options_type: method.options_type.as_deref(),
        write,
        answer,
        read_answer,
    })
}

fn taken<'a>(surface: &Surface, method: &Method, parameter: &'a Parameter, argument: bool) -> Result<Taken<'a>> {
    let (kind, name) = (&parameter.kind, parameter.name.as_str());
    let stays = kind.is("callback");
    let (kotlin, rust) = crossing(surface, kind, name)?;
    let always = argument || (method.shape != Shape::Open && parameter.has_default());
    let field = camel(name);
    let (read, write) = match (always, kind.name.as_str()) {
        (true, _) => (format!("{rust}?"), kotlin.write.replace(VALUE, &field)),
        (false, "duration") => (format!("frame.optional_duration(\"{name}\")?"), format!("optionalDuration({field})")),
        (false, _) => (
            format!(
                "frame.optional(|frame| {rust})?{}",
                if parameter.is_unbounded() { ".unwrap_or(u64::MAX)" } else { "" }
            ),
            format!("optional({field}) {{ {} }}", kotlin.write.replace(VALUE, "it")),
        ),
    };
    Ok(Taken {
        name,
        doc: documented(parameter),
        stays,
        of_the_handle: false,
        read,
        write,
        kind: if always { kotlin.kind.clone() } else { format!("{}?", kotlin.kind) },
        default: match &parameter.default {
            Some(default) if always => format!(" = {}", default_of(kind, default)?),
            _ => " = null".to_owned(),
        },
        given: kotlin.kind,
    })
}

struct Kotlin {
    kind: String,
    /// The statement that writes [`VALUE`].
    write: String,
}

/// How a value crosses: Kotlin's type and how it writes one, and Rust's expression that reads one.
fn crossing(surface: &Surface, kind: &Kind, name: &str) -> Result<(Kotlin, String)> {
    let (kotlin, write, rust) = match (kind.name.as_str(), kind.list) {
        ("text", false) => ("String", format!("text(VALUE, \"{name}\")"), "frame.text()".to_owned()),
        ("number", false) => ("Long", "long(VALUE)".to_owned(), format!("frame.number(\"{name}\")")),
        ("small_number", false) => {
            ("Int", "long(VALUE.toLong())".to_owned(), format!("convert::small_number(frame, \"{name}\")"))
        }
        ("flag", false) => ("Boolean", "flag(VALUE)".to_owned(), "frame.flag()".to_owned()),
        ("duration", false) => ("Duration", String::new(), String::new()),
        ("query", false) => ("Query", "query(VALUE)".to_owned(), "convert::query(frame)".to_owned()),
        ("snapshot", false) => ("Snapshot", "VALUE.write(this)".to_owned(), "convert::snapshot(frame)".to_owned()),
        ("event", true) => ("List<Event>", "events(VALUE)".to_owned(), "frame.list(convert::event)".to_owned()),
        ("import_event", true) => {
            ("List<ImportEvent>", "imports(VALUE)".to_owned(), "frame.list(convert::import_event)".to_owned())
        }
        ("callback", false) => ("Consumer<in EventReader>", String::new(), String::new()),
        (words, false) if surface.values.get(words).is_some_and(|of| of.or_number.is_some()) => {
            let kind = pascal(words);
            return Ok((Kotlin { kind, write: format!("{}(VALUE)", camel(words)) }, format!("{words}(frame)")));
        }
        (words, false) if surface.values.contains_key(words) => {
            return Ok((
                Kotlin { kind: pascal(words), write: "byte(VALUE.ordinal)".to_owned() },
                format!("{words}(frame)"),
            ));
        }
        _ => bail!("no way for {kind} to cross, which {name} is"),
    };
    Ok((Kotlin { kind: kotlin.to_owned(), write }, rust))
}

fn default_of(kind: &Kind, default: &Value) -> Result<String> {
    Ok(match (kind.name.as_str(), default) {
        ("number", Value::Number(number)) => number.to_string(),
        ("query", Value::Array(items)) if items.is_empty() => "Query.everything()".to_owned(),
        (words, Value::String(word)) => format!("{}.{}", pascal(words), pascal(word)),
        _ => bail!("no default {default} of {kind}"),
    })
}

/// The line of documentation with the default, if that line does not say it.
fn documented(parameter: &Parameter) -> String {
    let doc = &parameter.doc;
    let default = match &parameter.default {
        Some(_) if doc.contains("default") => return doc.clone(),
        Some(_) if parameter.is_unbounded() => return format!("{doc} By default there is no bound."),
        Some(Value::Number(millis)) if parameter.kind.is("duration") => match millis.as_u64() {
            Some(millis) if millis >= 1_000 => format!("{} s", millis / 1_000),
            _ => format!("{millis} ms"),
        },
        Some(Value::String(text)) if parameter.kind.is("text") => format!("`{text}`"),
        Some(Value::String(word)) => word.clone(),
        Some(value) => value.to_string(),
        None => return doc.clone(),
    };
    format!("{doc} The default is {default}.")
}

/// Kotlin's type of an answer and how it reads one, and Rust's function that writes one.
fn answer(surface: &Surface, method: &Method) -> Result<(String, String, String)> {
    let Some(kind) = &method.returns else { return Ok(("Unit".into(), "{}".into(), "|_, ()| ()".into())) };
    let (class, read) = reading(surface, kind)?;
    let write = write(surface, kind, "answer")?;
    Ok((class, format!("{{ {read} }}"), format!("|frame, answer| {write}")))
}

fn reading(surface: &Surface, kind: &Kind) -> Result<(String, String)> {
    let one = match kind.name.as_str() {
        "number" => ("Long".to_owned(), "it.long()".to_owned()),
        "flag" => ("Boolean".to_owned(), "it.flag()".to_owned()),
        "text" => ("String".to_owned(), "it.text()".to_owned()),
        "recorded_event" | "snapshot" => (pascal(&kind.name), format!("{}.read(it)", pascal(&kind.name))),
        name => {
            let Some(result) = surface.types.get(name).filter(|structure| structure.result) else {
                bail!("no way to read {kind}");
            };
            let fields = result.fields.iter().map(|field| Ok(reading(surface, &field.kind)?.1));
            (pascal(name), format!("{}({})", pascal(name), fields.collect::<Result<Vec<_>>>()?.join(", ")))
        }
    };
    Ok(match (kind.list, kind.optional) {
        (false, false) => one,
        (false, true) => {
            (format!("{}?", one.0), format!("frame -> frame.optional {{ {} }}", one.1.replace("(it", "(frame")))
        }
        (true, false) => (format!("List<{}>", one.0), format!("it.list {{ {} }}", one.1)),
        (true, true) => bail!("no way to read {kind}"),
    })
}

/// Rust's statement that writes an answer, or a part of one.
fn write(surface: &Surface, kind: &Kind, value: &str) -> Result<String> {
    let result = |name: &str| surface.types.get(name).is_some_and(|structure| structure.result);
    Ok(match (kind.name.as_str(), kind.list, kind.optional) {
        ("number", false, false) => format!("frame.number({value})"),
        ("flag", false, false) => format!("frame.flag({value})"),
        ("text", false, false) => format!("frame.text(&{value})"),
        ("recorded_event", true, false) => format!("convert::write_events(frame, &{value})"),
        ("recorded_event", false, true) => format!("frame.optional({value}.as_ref(), convert::write_recorded)"),
        ("snapshot", false, true) => format!("frame.optional({value}.as_ref(), convert::write_snapshot)"),
        (name, false, false) if result(name) => format!("{name}(frame, &{value})"),
        _ => bail!("no way to write {kind}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_cannot_cross_is_named() -> Result<()> {
        let mut surface = Surface::of_the_project()?;
        let read = surface.store.get_mut("read").and_then(|method| method.options.first_mut());
        let Some(option) = read else { bail!("read has no options") };
        option.kind = "color".into();
        let refused = files(&surface).map_or_else(|error| format!("{error:#}"), |_| String::new());
        assert_eq!(refused, "no way for color to cross, which from_version is");
        Ok(())
    }

    #[test]
    fn the_documentation_of_an_option_says_its_default() -> Result<()> {
        let surface = Surface::of_the_project()?;
        let said = |method: &str, option: &str| {
            let options = surface.store.get(method).map(|method| method.options.iter()).into_iter().flatten();
            options.filter(|one| one.name == option).map(documented).collect::<String>()
        };
        assert!(said("open", "timeout").ends_with(" The default is 30 s."));
        assert!(said("open", "poll_interval").ends_with(" The default is 250 ms."));
        assert!(said("open", "namespace").ends_with(" The default is `default`."));
        assert!(said("read", "to_version").ends_with(" By default there is no bound."));
        assert_eq!(said("read_all", "query"), "Only events that match. The default matches everything.");
        Ok(())
    }
}
