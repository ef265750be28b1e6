//! Renders templates. A name that a template uses and its context does not have is an error.

use anyhow::{Context, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::names;

/// Renders a template, given as its name and text.
///
/// A line with only a `{% … %}` tag leaves nothing behind. The filters `pascal`, `camel` and `constant` change the case
/// of a name.
///
/// # Errors
/// If the template is malformed, or uses what the context does not have.
pub fn render(name: &str, text: &str, context: impl Serialize) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.add_filter("pascal", |name: &str| names::pascal(name));
    environment.add_filter("camel", |name: &str| names::camel(name));
    environment.add_filter("constant", |name: &str| names::constant(name));
    environment.render_named_str(name, text, Serde(context)).with_context(|| format!("rendering {name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tag_on_its_own_line_leaves_nothing_behind() -> Result<()> {
        let text = "begin\n    {% for name in names %}\n    {{ name | camel }}\n    {% endfor %}\nend\n";
        let rendered = render("test", text, json!({"names": ["from_version", "limit"]}))?;
        assert_eq!(rendered, "begin\n    fromVersion\n    limit\nend\n");
        Ok(())
    }

    #[test]
    fn a_name_that_is_not_there_is_an_error() {
        assert!(render("test", "{{ missing }}", json!({})).is_err());
        assert!(render("test", "{% if one.missing %}{% endif %}", json!({"one": {}})).is_err());
    }
}
