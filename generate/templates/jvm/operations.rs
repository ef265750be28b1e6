//! The operations: their numbers, how each reads its request, calls core, and writes its answer.

use futures::FutureExt;
use streamkeep::EventStore;

use crate::convert;
use crate::error::Failure;
use crate::frame::{Reader, Writer};
use crate::store::{Reading, Work, answer, timed};

type Read<T> = Result<T, Failure>;

{% for method in methods %}
pub(crate) const {{ method.name | constant }}: u8 = {{ method.number }};
{% endfor %}

/// The name of an operation, as every language's errors have it.
pub(crate) const fn name(operation: u8) -> &'static str {
    match operation {
        {% for method in methods %}
        {{ method.name | constant }} => "{{ method.name }}",
        {% endfor %}
        _ => "next",
    }
}

/// Reads the request of an operation with one answer.
pub(crate) fn prepare(operation: u8, store: EventStore, frame: &mut Reader<'_>) -> Read<Work> {
    match operation {
        {% for method in methods if method.shape == "answer" %}
        {{ method.name | constant }} => {{ method.name }}(store, frame),
        {% endfor %}
        _ => Err(Failure::internal("an unknown operation")),
    }
}

/// Whether an operation makes a reader.
pub(crate) const fn reads(operation: u8) -> bool {
    matches!(operation, {% for method in methods if method.shape in ["events", "subscription"] %}{{ method.name | constant }}{% if not loop.last %} | {% endif %}{% endfor %})
}

/// Reads the request of an operation that makes a reader.
pub(crate) fn begin(operation: u8, store: EventStore, frame: &mut Reader<'_>) -> Read<Reading> {
    match operation {
        {% for method in methods if method.shape in ["events", "subscription"] %}
        {{ method.name | constant }} => {
            {% for argument in method.arguments %}
            let {{ argument.name }} = {{ argument.read }};
            {% endfor %}
            let options = {{ method.name }}_options(frame)?;
            let reader = store.{{ method.name }}({% for argument in method.arguments %}{{ argument.name }}, {% endfor %}options);
            Ok({% if method.shape == "subscription" %}Reading::subscription(reader){% else %}Reading::pages(store, reader){% endif %})
        }
        {% endfor %}
        _ => Err(Failure::internal("an unknown operation")),
    }
}
{% for method in methods if method.shape == "answer" %}

fn {{ method.name }}(store: EventStore, frame: &mut Reader<'_>) -> Read<Work> {
    {% for argument in method.arguments %}
    let {{ argument.name }} = {{ argument.read }};
    {% endfor %}
    {% if method.options_type %}
    let options = {{ method.name }}_options(frame)?;
    {% else %}
    {% for option in method.options if not option.of_the_handle %}
    let {{ option.name }} = {{ option.read }};
    {% endfor %}
    {% endif %}
    {% if method.timeout_of_the_handle %}
    let store = timed(store, frame)?;
    {% endif %}
    Ok(async move { answer({{ method.write }}, store.{{ method.name }}({{ method.given }}).await?) }.boxed())
}
{% endfor %}
{% for method in methods if method.options_type and method.shape == "open" %}

/// Sets the options that are given.
pub(crate) fn {{ method.name }}_options(mut options: streamkeep::{{ method.options_type }}, frame: &mut Reader<'_>) -> Read<streamkeep::{{ method.options_type }}> {
    {% for option in method.options %}
    if let Some(given) = {{ option.read }} {
        options = options.{{ option.name }}(given);
    }
    {% endfor %}
    Ok(options)
}
{% endfor %}
{% for method in methods if method.options_type and method.shape != "open" %}

fn {{ method.name }}_options(frame: &mut Reader<'_>) -> Read<streamkeep::{{ method.options_type }}> {
    Ok(streamkeep::{{ method.options_type }} {
        {% for option in method.options if not option.stays %}
        {{ option.name }}: {{ option.read }},
        {% endfor %}
    })
}
{% endfor %}
{% for result in results %}

fn {{ result.name }}(frame: &mut Writer, result: &streamkeep::{{ result.name | pascal }}) {
    {% for field in result.fields %}
    {{ field.write }};
    {% endfor %}
}
{% endfor %}
{% for value in values %}

fn {{ value.name }}(frame: &mut Reader<'_>) -> Read<streamkeep::{{ value.rust }}> {
    match frame.byte()? {
        {% for word in value.words %}
        {{ loop.index0 }} => Ok(streamkeep::{{ value.rust }}::{{ word | pascal }}),
        {% endfor %}
        {% if value.or_number %}
        {{ value.words | length }} => Ok(streamkeep::{{ value.rust }}::{{ value.or_number }}(frame.number("{{ value.name }}")?)),
        {% endif %}
        _ => Err(Failure::internal("{{ value.name }} is none of its words")),
    }
}
{% endfor %}
