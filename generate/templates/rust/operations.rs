//! The operations of a scenario: each takes its arguments, calls the store, and tells the answer.

use futures::TryStreamExt;
use serde_json::{Value, json};
use streamkeep::EventStore;

use super::convert::{self, Args, Taken};
use super::run::{Answer, Stop};

/// Runs an operation on a store. The runner itself opens, closes and subscribes.
pub(super) async fn perform(store: &EventStore, operation: &str, args: Args) -> Answer {
    match operation {
        {% for method in methods if method.shape in ["answer", "events"] %}
        "{{ method.name }}" => {{ method.name }}(store, args).await,
        {% endfor %}
        other => Err(Stop::Wrong(format!("unknown operation '{other}'"))),
    }
}
{% for method in methods if method.shape in ["answer", "events"] %}

async fn {{ method.name }}(store: &EventStore, mut args: Args) -> Answer {
    {% for argument in method.arguments %}
    let {{ argument.name }} = args.required("{{ argument.key }}", {{ argument.convert }})?;
    {% endfor %}
    {% if method.options_type %}
    let options = {{ method.name }}_options(&mut args)?;
    {% else %}
    {% for option in method.options %}
    let {{ option.name }} = args.optional("{{ option.key }}", {{ option.convert }})?;
    {% endfor %}
    {% endif %}
    {% if method.timeout_of_the_handle %}
    let store = convert::within(store, &mut args)?;
    {% endif %}
    args.end()?;
    {% set given = method.arguments | map(attribute="name") | list %}
    {% set options = ["options"] if method.options_type else method.options | map(attribute="name") | list %}
    {% if not method.nothing %}let answer{% endif %}{% if method.shape == "events" %}: Vec<_>{% endif %}{% if not method.nothing %} = {% endif %}store.{{ method.name }}({{ (given + options) | join(", ") }}){% if method.shape == "events" %}.try_collect(){% endif %}.await?;
    Ok({{ method.answer }})
}
{% endfor %}
{% for method in methods if method.options_type and method.shape != "open" %}

pub(super) fn {{ method.name }}_options(args: &mut Args) -> Taken<streamkeep::{{ method.options_type }}> {
    let mut options = streamkeep::{{ method.options_type }}::default();
    {% for option in method.options %}
    {% if option.always %}
    if let Some({{ option.name }}) = args.optional("{{ option.key }}", {{ option.convert }})? {
        options.{{ option.name }} = {{ option.name }};
    }
    {% else %}
    options.{{ option.name }} = args.optional("{{ option.key }}", {{ option.convert }})?;
    {% endif %}
    {% endfor %}
    Ok(options)
}
{% endfor %}
{% for method in methods if method.shape == "open" %}

/// Sets the options that are given.
pub(super) fn {{ method.name }}_options(mut options: streamkeep::{{ method.options_type }}, args: &mut Args) -> Taken<streamkeep::{{ method.options_type }}> {
    {% for option in method.options %}
    if let Some({{ option.name }}) = args.optional("{{ option.key }}", {{ option.convert }})? {
        options = options.{{ option.name }}({{ option.name }});
    }
    {% endfor %}
    Ok(options)
}
{% endfor %}
{% for result in results %}

fn {{ result.name }}_value(result: &streamkeep::{{ result.name | pascal }}) -> Value {
    json!({
        {% for name, value in result.fields %}
        "{{ name }}": {{ value }},
        {% endfor %}
    })
}
{% endfor %}
{% for name, of in values %}

fn {{ name }}(value: Value) -> Taken<streamkeep::{{ of.rust }}> {
    match value.as_str() {
        {% for word in of.words %}
        Some("{{ word.name }}") => Ok(streamkeep::{{ of.rust }}::{{ word.name | pascal }}),
        {% endfor %}
        {% if of.or_number %}
        _ => convert::number(value).map(streamkeep::{{ of.rust }}::{{ of.or_number }}),
        {% else %}
        _ => Err(format!("unknown {{ name }} {value}")),
        {% endif %}
    }
}
{% endfor %}
