//! What a description must keep to.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{Kind, LANGUAGES, Method, Parameter, Surface};

/// The types that are not described further.
const BUILT_IN: [&str; 15] = [
    "text",
    "number",
    "small_number",
    "flag",
    "duration",
    "time",
    "id",
    "payload",
    "json_object",
    "query",
    "store",
    "signal",
    "callback",
    "transaction",
    "diagnosis",
];
/// Built in, and only in Rust.
const ONLY_IN_RUST: [&str; 1] = ["pooler"];

impl Surface {
    pub(super) fn check(&self) -> Result<()> {
        for (name, method) in &self.store {
            self.check_method(method).with_context(|| format!("the method {name}"))?;
        }
        for (name, structure) in &self.types {
            let names: Vec<&str> = structure.fields.iter().map(|field| field.name.as_str()).collect();
            no_name_twice(&names).with_context(|| format!("the type {name}"))?;
            check_doc(&structure.doc).with_context(|| format!("the type {name}"))?;
            for field in &structure.fields {
                self.check_kind(&field.kind)
                    .and_then(|()| check_doc(&field.doc))
                    .with_context(|| format!("the field {name}.{}", field.name))?;
            }
        }
        for (name, words) in &self.values {
            check_doc(&words.doc).with_context(|| format!("the values {name}"))?;
            for word in &words.words {
                check_doc(&word.doc).with_context(|| format!("the word {} of {name}", word.name))?;
            }
        }
        Ok(())
    }

    fn check_method(&self, method: &Method) -> Result<()> {
        check_doc(&method.doc)?;
        check_languages(method.only.as_deref())?;
        let parameters = || method.arguments.iter().chain(&method.options);
        no_name_twice(&parameters().map(|parameter| parameter.name.as_str()).collect::<Vec<_>>())?;
        for parameter in parameters() {
            self.check_parameter(parameter).with_context(|| parameter.name.clone())?;
        }
        for argument in &method.arguments {
            ensure!(argument.default.is_none(), "{} is an argument and has a default", argument.name);
        }
        method.returns.iter().try_for_each(|kind| self.check_kind(kind))
    }

    fn check_parameter(&self, parameter: &Parameter) -> Result<()> {
        check_doc(&parameter.doc)?;
        check_languages(parameter.only.as_deref())?;
        self.check_kind(&parameter.kind)?;
        let Some(default) = &parameter.default else { return Ok(()) };
        let words = self.values.get(&parameter.kind.name);
        let fits = match (parameter.kind.name.as_str(), default) {
            ("number" | "small_number" | "duration", Value::Number(_))
            | ("flag", Value::Bool(_))
            | ("query", Value::Array(_))
            | ("text", Value::String(_)) => true,
            ("number", Value::String(word)) => word == "unbounded",
            (_, Value::String(given)) => words.is_some_and(|words| words.words.iter().any(|word| word.name == *given)),
            _ => false,
        };
        ensure!(fits, "the default {default} is no {}", parameter.kind);
        Ok(())
    }

    fn check_kind(&self, kind: &Kind) -> Result<()> {
        let name = kind.name.as_str();
        let known = BUILT_IN.contains(&name)
            || ONLY_IN_RUST.contains(&name)
            || self.types.contains_key(name)
            || self.values.contains_key(name);
        ensure!(known, "the type {name} is not described");
        Ok(())
    }
}

fn check_languages(only: Option<&[String]>) -> Result<()> {
    let unknown = only.into_iter().flatten().find(|language| !LANGUAGES.contains(&language.as_str()));
    unknown.map_or(Ok(()), |language| bail!("'only' names an unknown language, {language}"))
}

fn check_doc(doc: &str) -> Result<()> {
    ensure!(doc.ends_with('.') || doc.ends_with('…'), "the documentation is no sentence: '{doc}'");
    ensure!(!doc.contains('\n'), "the documentation is longer than a line");
    Ok(())
}

fn no_name_twice(names: &[&str]) -> Result<()> {
    let mut seen = BTreeSet::new();
    names.iter().find(|name| !seen.insert(**name)).map_or(Ok(()), |name| bail!("the name {name} occurs twice"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes a text of the project's description, and gives the error that this leads to.
    fn refusal(text: &str, instead: &str) -> Result<String> {
        let own = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/surface.json"))?;
        ensure!(own.contains(text), "surface.json does not have {text}");
        match Surface::parse(&own.replacen(text, instead, 1)) {
            Ok(_) => bail!("'{instead}' is accepted"),
            Err(error) => Ok(format!("{error:#}")),
        }
    }

    #[test]
    fn a_description_that_contradicts_itself_is_refused() -> Result<()> {
        let cases = [
            (r#""returns": "page""#, r#""returns": "pages""#, "the method read_page: the type pages is not described"),
            (r#""only": ["rust"]"#, r#""only": ["rest"]"#, "unknown language, rest"),
            (r#""default": "forward""#, r#""default": "forwards""#, "is no direction"),
            (r#""default": 30000"#, r#""default": "30 s""#, "is no duration"),
            (r#"{"name": "before""#, r#"{"name": "after""#, "the method read_all: the name after occurs twice"),
            (r#""doc": "The direction.""#, r#""doc": """#, "no sentence"),
            (r#""shape": "close""#, r#""shape": "closed""#, "unknown variant"),
            (r#""long": true"#, r#""lang": true"#, "unknown field"),
        ];
        for (text, instead, expected) in cases {
            let refusal = refusal(text, instead)?;
            assert!(refusal.contains(expected), "'{instead}': {refusal}");
        }
        Ok(())
    }
}
