"""The results of operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from streamkeep.event import RecordedEvent, recorded

if TYPE_CHECKING:
    from streamkeep.fields import {% for result in results %}{{ result.name | pascal }}Fields{% if not loop.last %}, {% endif %}{% endfor %}

{% for result in results %}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class {{ result.name | pascal }}:
    """{{ result.doc }}"""

    {% for field in result.fields %}
    {{ field.name }}: {{ field.typed }}
    """{{ field.doc }}"""
    {% endfor %}
{% endfor %}
{% for result in results %}


def {{ result.name }}(fields: {{ result.name | pascal }}Fields) -> {{ result.name | pascal }}:
    """Make the result from its fields."""
    {{ result.fields | map(attribute="name") | join(", ") }}{% if result.fields | length == 1 %},{% endif %} = fields
    return {{ result.name | pascal }}({% for field in result.fields %}{{ field.name }}={{ field.made }}{% if not loop.last %}, {% endif %}{% endfor %})
{% endfor %}
