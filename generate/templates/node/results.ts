// The plain results of calls.
{% for result in results %}

/** {{ result.doc }}{% if result.more %} {{ result.more }}{% endif %} */
export interface {{ result.name | pascal }} {
  {% for field in result.fields %}
  /** {{ field.doc }} */
  {{ field.name | camel }}: {{ {"number": "number", "flag": "boolean", "text": "string"}[field.type] }}
  {% endfor %}
}
{% endfor %}
