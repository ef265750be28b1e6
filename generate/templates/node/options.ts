import { callback, count, flag, query, signal, word, wordOrVersion, type Check } from './arguments.js'
import { wellFormed } from './json.js'
import type { Signal } from './signal.js'
{% for value in values %}

/** {{ value.doc }} */
export type {{ value.name | pascal }} = {% if value.or_number %}number | {% endif %}{% for word in value.words %}'{{ word.name }}'{% if not loop.last %} | {% endif %}{% endfor %}

{% endfor %}

/** {{ query_item.doc }} */
export interface QueryItem<T extends string = string> {
  {% for field in query_item.fields %}
  /** {{ field.doc }} */
  {{ field.name }}?: readonly {{ "T" if field.name == "types" else "string" }}[] | undefined
  {% endfor %}
}

/** Selects events: an item, or up to 64 items of which one must match. Without items it matches everything. */
export type Query<T extends string = string> = QueryItem<T> | readonly QueryItem<T>[]

/** How a call ends early. */
export interface CallOptions {
  /** How long it may take, waiting included. The default is the timeout of the store. */
  timeoutMs?: number | undefined
  /** Ends the call, which then rejects with the signal's reason. A write may have been done all the same. */
  signal?: Signal | undefined
}
{% for method in methods if method.options and not method.shares %}

/** The options of `{{ method.name | camel }}`. {{ method.doc }} */
export interface {{ method.interface }}{% if method.generic %}<T extends string = string>{% endif %} {
  {% for option in method.options %}
  /** {{ option.doc }} */
  {{ option.named | camel }}?: {{ option.typescript }} | undefined
  {% endfor %}
}
{% endfor %}

/** @internal The checks of each call's options. */
export const CHECKS = {
  {% for method in methods if method.options %}
  {{ method.name | camel }}: {
    {% for option in method.options %}
    {{ option.named | camel }}: {{ option.check }},
    {% endfor %}
  },
  {% endfor %}
} satisfies Record<string, Record<string, Check>>
