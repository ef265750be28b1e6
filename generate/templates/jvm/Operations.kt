package dev.streamkeep

import java.time.Duration

/** The numbers of the operations, as `operations.rs` has them, and their names. */
internal object Operation {
    {% for method in methods %}
    const val {{ method.name | constant }} = {{ method.number }}
    {% endfor %}

    /** The name of an operation, as every language's errors have it. */
    fun name(operation: Int): String? = when (operation) {
        {% for method in methods %}
        {{ method.name | constant }} -> "{{ method.name }}"
        {% endfor %}
        else -> null
    }
}

/** The requests of a store: each writes its arguments and options, and reads the answer. */
internal abstract class Operations {
    protected abstract fun <T> request(operation: Int, read: (FrameReader) -> T, write: RequestWriter.() -> Unit): Request<T>

    protected abstract fun reading(operation: Int, write: RequestWriter.() -> Unit): Reading
    {% for method in methods if method.shape in ["answer", "events", "subscription"] %}

    fun {{ method.name | camel }}({{ method.signature }}): {% if method.shape == "answer" %}Request<{{ method.answer }}> = request(Operation.{{ method.name | constant }}, {{ method.read_answer }}){% else %}Reading = reading(Operation.{{ method.name | constant }}){% endif %} {
        {% for argument in method.arguments %}
        {{ argument.write }}
        {% endfor %}
        {% if method.options_type %}
        options.write(this)
        {% else %}
        {% for option in method.options %}
        {{ option.write }}
        {% endfor %}
        {% endif %}
    }
    {% endfor %}
}
