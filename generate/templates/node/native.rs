//! The methods of the native module: each converts its arguments, calls core, and has its answer converted.

use napi::bindgen_prelude::Either;
use napi_derive::napi;

use super::{NativeStore, opening};
use crate::convert::{self, EventIn, QueryItemIn, SnapshotIn, millis, number, optional, query, same, small_number};
use crate::error::invalid_argument;
use crate::iteration::{NativeIteration, Of};
use crate::mailbox::NativeMailbox;
use crate::page::{Page, PageOut, SnapshotOut, exact};
use crate::runtime::apart;
{% for method in methods if method.options %}

/// The options of `{{ method.name }}`.
#[napi(object, object_to_js = false)]
pub struct {{ method.name | pascal }}In {
    {% for option in method.options if not option.stays %}
    pub {{ option.named }}: Option<{{ option.rust }}>,
    {% endfor %}
}
{% endfor %}
{% for result in results %}

/// {{ result.doc }}
#[napi(object, object_from_js = false)]
pub struct {{ result.name | pascal }}Out {
    {% for field in result.fields %}
    pub {{ field.name }}: {{ {"number": "f64", "flag": "bool", "text": "String"}[field.type] }},
    {% endfor %}
}

impl From<streamkeep::{{ result.name | pascal }}> for {{ result.name | pascal }}Out {
    fn from(result: streamkeep::{{ result.name | pascal }}) -> Self {
        Self {
            {% for field in result.fields %}
            {{ field.name }}: {{ "exact(result." ~ field.name ~ ")" if field.type == "number" else "result." ~ field.name }},
            {% endfor %}
        }
    }
}
{% endfor %}
{% for method in methods if method.shape == "open" %}

/// {{ method.doc }} The answer has the number of the call, as that of every call.
#[napi(catch_unwind)]
pub fn {{ method.name }}(
    mailbox: &NativeMailbox,
    call: u32,
    {% for argument in method.arguments %}
    {{ argument.name }}: {{ argument.rust }},
    {% endfor %}
    given: {{ method.name | pascal }}In,
) -> napi::Result<()> {
    let mut options = streamkeep::{{ method.options_type }}::new({{ method.arguments | map(attribute="name") | join(", ") }});
    {% for option in method.options if not option.stays %}
    if let Some(given) = given.{{ option.named }} {
        options = options.{{ option.name }}({{ option.convert }}("{{ option.named }}", given)?);
    }
    {% endfor %}
    opening(mailbox, call, options)
}
{% endfor %}

#[napi]
impl NativeStore {
    {% for method in methods if method.shape in ["answer", "events", "subscription"] %}
    {% set answers = method.shape == "answer" %}
    /// {{ method.doc }}
    #[napi(catch_unwind)]
    pub fn {{ method.name }}(
        &self,
        {% if answers %}
        call: u32,
        {% endif %}
        {% for argument in method.arguments %}
        {{ argument.name }}: {{ argument.rust }},
        {% endfor %}
        given: {{ method.name | pascal }}In,
    ) -> napi::Result<{{ "()" if answers else "NativeIteration" }}> {
        let store = {{ "self.store_within(given.timeout_ms)?" if method.timeout_of_the_handle and answers else "self.store()?" }};
        {% for argument in method.arguments if argument.convert == "events" %}
        let great = convert::are_great(&{{ argument.name }});
        {% endfor %}
        {% for argument in method.arguments if argument.convert != "same" %}
        let {{ argument.name }} = convert::{{ argument.convert }}({{ argument.name }})?;
        {% endfor %}
        {% if method.options_type %}
        let mut options = streamkeep::{{ method.options_type }}::default();
        {% for option in method.options if option.of_core and not option.stays %}
        {% if option.always %}
        if let Some(given) = given.{{ option.named }} {
            options.{{ option.name }} = {{ option.convert }}("{{ option.named }}", given)?;
        }
        {% else %}
        options.{{ option.name }} = optional("{{ option.named }}", given.{{ option.named }}, {{ option.convert }})?;
        {% endif %}
        {% endfor %}
        {% else %}
        {% for option in method.options if option.of_core and not option.stays %}
        let {{ option.name }} = optional("{{ option.named }}", given.{{ option.named }}, {{ option.convert }})?;
        {% endfor %}
        {% endif %}
        {% if answers %}
        {% if method.packed %}
        let work = apart(async move { store.{{ method.name }}({{ method.given }}).await.map(Page::from) })?;
        {% elif method.long %}
        let work = apart(async move { store.{{ method.name }}({{ method.given }}).await })?;
        {% else %}
        let work = async move { store.{{ method.name }}({{ method.given }}).await };
        {% endif %}
        {% for argument in method.arguments if argument.convert == "events" %}
        if great {
            return self.calls.start(call, {{ method.answer }}, apart(work)?);
        }
        {% endfor %}
        self.calls.start(call, {{ method.answer }}, work)
        {% else %}
        Ok(self.iteration(Of::{{ "Read" if method.shape == "events" else "Subscription" }}(store.{{ method.name }}({{ method.given }}))))
        {% endif %}
    }

    {% endfor %}
    /// Closes the store.
    #[napi(catch_unwind)]
    pub fn close(&self, call: u32) -> napi::Result<()> {
        let store = self.store()?;
        self.calls.start(call, |()| (), async move { store.close().await })
    }
}
{% for value in values %}

{% if value.or_number %}
fn {{ value.name }}_of(argument: &str, value: Either<String, i64>) -> napi::Result<streamkeep::{{ value.rust }}> {
    let word = match value {
        Either::A(word) => word,
        Either::B(exact) => return number(argument, exact).map(streamkeep::{{ value.rust }}::{{ value.or_number }}),
    };
{% else %}
fn {{ value.name }}_of(argument: &str, word: String) -> napi::Result<streamkeep::{{ value.rust }}> {
{% endif %}
    match word.as_str() {
        {% for word in value.words %}
        "{{ word.name }}" => Ok(streamkeep::{{ value.rust }}::{{ word.name | pascal }}),
        {% endfor %}
        _ => Err(invalid_argument(argument, "{{ value.must_be }}")),
    }
}
{% endfor %}
