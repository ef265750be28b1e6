"""The form in which values are passed to the native module and back."""

from collections.abc import Sequence
from typing import TypeAlias

{% for type in types %}
# {{ type.words }}
{{ type.name | pascal }}Fields: TypeAlias = tuple[{{ type.types }}]
{% endfor %}
# a query
Items: TypeAlias = Sequence[QueryItemFields]
