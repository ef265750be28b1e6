package dev.streamkeep

import java.time.Duration
import java.util.function.Consumer

/*
 * The options for Java: `ReadOptions.defaults().withFromVersion(5)`. Kotlin has named arguments instead.
 */
{% for method in methods if method.options_type %}
{% set class = method.options_type %}

/** The options of `{{ method.name | camel }}`.{{ " Each can also be a parameter of the URL, which wins." if method.shape == "open" else "" }} */
public class {{ class }} internal constructor(
    {% for option in method.options %}
    {{ ('@get:JvmName("' ~ (option.name | camel) ~ '") ') if option.stays else "" }}internal val {{ option.name | camel }}: {{ option.kind }}{{ option.default }},
    {% endfor %}
) {
    {% for option in method.options %}
    {% if option.stays %}
    /**
     * Called on the reading thread when everything that was committed so far was given, and again after the reader was
     * a whole page behind. Its argument is the reader, so `with{{ option.name | pascal }}(EventReader::close)` ends the reading there.
     */
    {% else %}
    /** {{ option.doc }} */
    {% endif %}
    public fun with{{ option.name | pascal }}({{ option.name | camel }}: {{ option.given }}): {{ class }} = changed({{ option.name | camel }} = {{ option.name | camel }})

    {% endfor %}
    private fun changed(
        {% for option in method.options %}
        {{ option.name | camel }}: {{ option.kind }} = this.{{ option.name | camel }},
        {% endfor %}
    ): {{ class }} = {{ class }}({% for option in method.options %}{{ option.name | camel }}{% if not loop.last %}, {% endif %}{% endfor %})

    internal fun write(frame: RequestWriter): Unit = with(frame) {
        {% for option in method.options if not option.stays %}
        {{ option.write }}
        {% endfor %}
    }

    private fun fields() = listOf({% for option in method.options %}"{{ option.name | camel }}" to {{ option.name | camel }}{% if not loop.last %}, {% endif %}{% endfor %})

    override fun equals(other: Any?): Boolean = other is {{ class }} && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("{{ class }}", fields())

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): {{ class }} = {{ class }}()
    }
}
{% endfor %}
