//! The methods of the native module: each converts its arguments, calls core, and converts the answer.

use std::sync::Arc;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::{For, Maybe, Store};
use crate::bridge::{apart, run};
use crate::convert::{self, number, optional, seconds, text};
use crate::cursor::Cursor;
use crate::error::{Failure, during};
{% for method in methods if method.shape == "open" %}

/// {{ method.doc }}
#[pyfunction]
#[pyo3(signature = (bridge, {% for parameter in method.parameters %}{% if parameter.required %}{{ parameter.name }}, *, {% else %}{{ parameter.name }}=None{% if not loop.last %}, {% endif %}{% endif %}{% endfor %}))]
#[expect(clippy::too_many_arguments, reason = "each option is an argument")]
pub(crate) fn {{ method.name }}<'py>(
    py: Python<'py>,
    bridge: For<'_, 'py>,
    {% for parameter in method.parameters %}
    {{ parameter.name }}: {{ "&Bound<'py, PyAny>" if parameter.required else "Maybe<'_, 'py>" }},
    {% endfor %}
) -> PyResult<Bound<'py, PyAny>> {
    during(py, "{{ method.name }}", || {
        {% for parameter in method.parameters if parameter.required %}
        let mut options = streamkeep::{{ method.options_type }}::new({{ parameter.read }});
        {% endfor %}
        {% for parameter in method.parameters if not parameter.required %}
        if let Some(given) = {{ parameter.name }} {
            options = options.{{ parameter.name }}({{ parameter.convert }}("{{ parameter.name }}", given)?);
        }
        {% endfor %}
        super::opening(py, bridge, options)
    })
}
{% endfor %}

#[pymethods]
impl Store {
    {% for method in methods if method.shape != "open" %}
    {% set bridged = method.shape == "answer" %}
    /// {{ method.doc }}
    #[pyo3(signature = ({% if bridged %}bridge, {% endif %}{{ method.parameters | map(attribute="name") | join(", ") }}))]
    {% if method.parameters | length + (3 if bridged else 2) > 7 %}
    #[expect(clippy::too_many_arguments, reason = "each option is an argument")]
    {% endif %}
    fn {{ method.name }}<'py>(
        &self,
        py: Python<'py>,
        {% if bridged %}
        bridge: For<'_, 'py>,
        {% endif %}
        {% for parameter in method.parameters %}
        {{ parameter.name }}: {{ "&Bound<'py, PyAny>" if parameter.required else "Maybe<'_, 'py>" }},
        {% endfor %}
    ) -> PyResult<{{ "Bound<'py, PyAny>" if bridged else "Cursor" }}> {
        during(py, "{{ method.name }}", || {
            let store = {{ "self.store_for(timeout)?" if method.timeout_of_the_handle and bridged else "self.store()?" }};
            {% for parameter in method.parameters %}
            {% if method.options_type and parameter.option %}
            {% elif method.timeout_of_the_handle and parameter.name == "timeout" %}
            {% else %}
            let {{ parameter.name }} = {{ parameter.read }};
            {% endif %}
            {% endfor %}
            {% if method.options_type %}
            let options = streamkeep::{{ method.options_type }} {
                {% for parameter in method.parameters if parameter.option %}
                {{ parameter.name }}: {{ parameter.read }},
                {% endfor %}
            };
            {% endif %}
            {% if bridged %}
            let call = async move { Ok(store.{{ method.name }}({{ method.given }}).await?) };
            {% if method.long %}
            let call = apart(Arc::clone(self.0.engine()), call);
            {% endif %}
            run(py, bridge, self.0.engine(), call, {{ method.answer }})
            {% elif method.shape == "subscription" %}
            // The subscription's poll interval needs the runtime.
            let _runtime = self.0.engine().handle().enter();
            Ok(Cursor::of_subscription(self.0.engine(), store.{{ method.name }}({{ method.given }}))?)
            {% else %}
            Ok(Cursor::of_events(self.0.engine(), "{{ method.name }}", store.{{ method.name }}({{ method.given }}))?)
            {% endif %}
        })
    }

    {% endfor %}
    /// Closes the store.
    fn close<'py>(&self, py: Python<'py>, bridge: For<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        during(py, "close", || {
            let store = self.store()?;
            let closing = async move { Ok(store.close().await?) };
            run(py, bridge, self.0.engine(), closing, |py, ()| Ok(py.None()))
        })
    }
}
{% for result in results %}

fn {{ result.name }}<'py>(py: Python<'py>, result: &streamkeep::{{ result.name | pascal }}) -> PyResult<Bound<'py, PyAny>> {
    ({{ result.fields | join(", ") }},).into_bound_py_any(py)
}
{% endfor %}
{% for value in values %}

fn {{ value.name }}_of(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<streamkeep::{{ value.rust }}> {
    {% if value.or_number %}
    if !value.is_instance_of::<PyString>() {
        return number(argument, value).map(streamkeep::{{ value.rust }}::{{ value.or_number }});
    }
    {% endif %}
    match text(argument, value)?.as_str() {
        {% for word in value.words %}
        "{{ word.name }}" => Ok(streamkeep::{{ value.rust }}::{{ word.name | pascal }}),
        {% endfor %}
        {% if value.configures %}
        _ => Err(Failure::config("{{ value.must_be }}".to_owned()).into()),
        {% else %}
        _ => Err(Failure::argument(argument, "{{ value.must_be }}").into()),
        {% endif %}
    }
}
{% endfor %}
