package dev.streamkeep

import java.util.Collections

/** The expected version: what an append expects of its stream. */
public sealed class Expected(private val text: String) {
    /** Any version. The append never conflicts; if it loses a race, it runs again. */
    public data object Any : Expected("any")

    /** The stream has no events. */
    public data object NoStream : Expected("no-stream")

    /** The stream has at least one event. */
    public data object StreamExists : Expected("stream-exists")

    /** The stream's version is exactly this. 0 means the same as [NoStream]. */
    public class Exact(public val version: Long) : Expected(version.toString()) {
        override fun equals(other: kotlin.Any?): Boolean = other is Exact && version == other.version

        override fun hashCode(): Int = version.hashCode()
    }

    /** `any`, `no-stream`, `stream-exists` or the version. */
    final override fun toString(): String = text

    public companion object {
        /** Any version. The append never conflicts. */
        @JvmStatic
        public fun any(): Expected = Any

        /** The stream has no events. */
        @JvmStatic
        public fun noStream(): Expected = NoStream

        /** The stream has at least one event. */
        @JvmStatic
        public fun streamExists(): Expected = StreamExists

        /** The stream's version is exactly this. */
        @JvmStatic
        public fun exact(version: Long): Expected = Exact(version)

        internal fun of(said: kotlin.Any?): Expected = when (said) {
            is Long -> Exact(said)
            "no-stream" -> NoStream
            "stream-exists" -> StreamExists
            else -> Any
        }
    }
}

/** The direction of a read. The bounds are the lowest and the highest in both directions. */
public enum class Direction {
    /** From the lowest to the highest. */
    Forward,

    /** From the highest to the lowest. */
    Backward,
}

/** Where a subscription begins. */
public enum class Start {
    /** At the first event of the log. */
    Beginning,

    /** After the head of the log when the first event is pulled. */
    Now,
}

/** How durable an acknowledged append is. */
public enum class Durability {
    /** An acknowledged append is on disk. A server with weaker settings is refused. */
    Full,

    /** A server with weaker settings is accepted. A crash can then lose acknowledged events. */
    Relaxed,
}

/**
 * One item of a query. An event must satisfy all four lists; an empty list restricts nothing.
 *
 * @property types the event's type is one of these
 * @property tags the event has all of these
 * @property categories the stream's category is one of these
 * @property streams the stream is one of these
 */
public class QueryItem @JvmOverloads constructor(
    types: List<String> = emptyList(),
    tags: List<String> = emptyList(),
    categories: List<String> = emptyList(),
    streams: List<String> = emptyList(),
) {
    public val types: List<String> = fixed(types)
    public val tags: List<String> = fixed(tags)
    public val categories: List<String> = fixed(categories)
    public val streams: List<String> = fixed(streams)

    /** The same item with these types. */
    public fun withTypes(vararg types: String): QueryItem = QueryItem(types.toList(), tags, categories, streams)

    /** The same item with these tags. */
    public fun withTags(vararg tags: String): QueryItem = QueryItem(types, tags.toList(), categories, streams)

    /** The same item with these categories. */
    public fun withCategories(vararg categories: String): QueryItem = QueryItem(types, tags, categories.toList(), streams)

    /** The same item with these streams. */
    public fun withStreams(vararg streams: String): QueryItem = QueryItem(types, tags, categories, streams.toList())

    private fun fields() = listOf("types" to types, "tags" to tags, "categories" to categories, "streams" to streams)

    override fun equals(other: Any?): Boolean = other is QueryItem && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("QueryItem", fields())
}

/**
 * Selects events: everything, or up to 64 items of which one must match.
 *
 * `Query(types = listOf("OrderPaid"))` is a query of one item; [or] joins queries.
 *
 * @property items the items; an empty list matches everything
 */
public class Query(items: List<QueryItem>) {
    public val items: List<QueryItem> = fixed(items)

    /** A query of one item. Without any restriction it matches everything. */
    public constructor(
        types: List<String> = emptyList(),
        tags: List<String> = emptyList(),
        categories: List<String> = emptyList(),
        streams: List<String> = emptyList(),
    ) : this(QueryItem(types, tags, categories, streams).let { if (it == QueryItem()) emptyList() else listOf(it) })

    /** Joins two queries: an event matches if it matches either. */
    public infix fun or(other: Query): Query = if (items.isEmpty() || other.items.isEmpty()) everything() else Query(items + other.items)

    private fun fields() = listOf("items" to items)

    override fun equals(other: Any?): Boolean = other is Query && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("Query", fields())

    public companion object {
        private val EVERYTHING = Query(emptyList<QueryItem>())

        /** Matches every event. */
        @JvmStatic
        public fun everything(): Query = EVERYTHING

        /** Matches the events that match one of the items. */
        @JvmStatic
        public fun of(vararg items: QueryItem): Query = Query(items.toList())
    }
}

/**
 * The state that results from a stream's events up to a version, made by code with the name [schema].
 *
 * @property stream the stream
 * @property version the version of the last event that went into the state
 * @property schema the name of the code that made it; a snapshot with another schema is another snapshot
 * @property data the state, at most 8 MiB
 */
public class Snapshot(public val stream: String, public val version: Long, public val schema: String, public val data: Payload) {
    internal fun write(frame: RequestWriter) {
        frame.text(stream, "stream")
        frame.long(version)
        frame.text(schema, "schema")
        data.write(frame)
    }

    private fun fields() = listOf("stream" to stream, "version" to version, "schema" to schema, "data" to data)

    override fun equals(other: Any?): Boolean = other is Snapshot && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("Snapshot", fields())

    internal companion object {
        fun read(frame: FrameReader): Snapshot = Snapshot(frame.text(), frame.long(), frame.text(), Payload.read(frame))
    }
}

/**
 * The result of an append.
 *
 * @property version the stream's version after the append
 * @property position the position of the last event; not a cursor, because an event with a smaller position can still
 * be uncommitted
 * @property repeated whether the same events were appended before; the result is then the one of that time
 */
public class AppendResult(public val version: Long, public val position: Long, public val repeated: Boolean) {
    private fun fields() = listOf("version" to version, "position" to position, "repeated" to repeated)

    override fun equals(other: Any?): Boolean = other is AppendResult && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("AppendResult", fields())
}

/**
 * What an import did.
 *
 * @property imported events written
 * @property passedOver events that were stored already, with the same content
 * @property position the position of the last event given; 0 if none was given
 */
public class ImportResult(public val imported: Long, public val passedOver: Long, public val position: Long) {
    private fun fields() = listOf("imported" to imported, "passedOver" to passedOver, "position" to position)

    override fun equals(other: Any?): Boolean = other is ImportResult && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("ImportResult", fields())
}

/**
 * One page of the log.
 *
 * @property events the events that match, in the order of positions
 * @property reached how far the page looked: the `after` of the next page
 * @property caughtUp whether nothing more was there to read
 */
public class Page(public val events: List<RecordedEvent>, public val reached: Long, public val caughtUp: Boolean) {
    private fun fields() = listOf("events" to events, "reached" to reached, "caughtUp" to caughtUp)

    override fun equals(other: Any?): Boolean = other is Page && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("Page", fields())
}

/** A copy that nobody changes: what a value was made of can change afterwards, and Java can change Kotlin's lists. */
internal fun <T> fixed(list: List<T>): List<T> = if (list.isEmpty()) emptyList() else Collections.unmodifiableList(ArrayList(list))

/** A value as a text: its name, and its fields in their order. */
internal fun described(name: String, fields: List<Pair<String, Any?>>): String = fields.joinToString(", ", "$name(", ")") { (field, value) -> "$field=$value" }
