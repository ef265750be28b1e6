package dev.streamkeep

/** What an append demands of its stream. */
public sealed class Expected(private val text: String) {
    /** Nothing: the append never conflicts; a race is run again. */
    public data object Any : Expected("any")

    /** The stream has no events. */
    public data object NoStream : Expected("no-stream")

    /** The stream has at least one event. */
    public data object StreamExists : Expected("stream-exists")

    /** The stream's version is exactly this; 0 is another way to say [NoStream]. */
    public data class Exact(public val version: Long) : Expected(version.toString())

    /** `any`, `no-stream`, `stream-exists` or the version. */
    final override fun toString(): String = text

    public companion object {
        /** Nothing: the append never conflicts. */
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

/** Which way a read goes. Its bounds are lowest and highest in either. */
public enum class Direction {
    /** From the lowest to the highest. */
    Forward,

    /** From the highest to the lowest. */
    Backward,
}

/** Where a subscription begins. */
public enum class Start {
    /** With the first event of the log. */
    Beginning,

    /** Behind the head at the first pull. */
    Now,
}

/** How far an acknowledged append can be trusted. */
public enum class Durability {
    /** Acknowledged means on disk. A server set to anything weaker is refused. */
    Full,

    /** A server set to less is accepted: a crash may take acknowledged events. */
    Relaxed,
}

/**
 * One alternative of a query: all four lists must agree; an empty list does not restrict.
 *
 * @property types the event's type is one of these
 * @property tags the event carries all of these
 * @property categories the stream's category is one of these
 * @property streams the stream is one of these
 */
public data class QueryItem @JvmOverloads constructor(
    public val types: List<String> = emptyList(),
    public val tags: List<String> = emptyList(),
    public val categories: List<String> = emptyList(),
    public val streams: List<String> = emptyList(),
) {
    /** The same item with these types. */
    public fun withTypes(vararg types: String): QueryItem = copy(types = types.toList())

    /** The same item with these tags. */
    public fun withTags(vararg tags: String): QueryItem = copy(tags = tags.toList())

    /** The same item with these categories. */
    public fun withCategories(vararg categories: String): QueryItem = copy(categories = categories.toList())

    /** The same item with these streams. */
    public fun withStreams(vararg streams: String): QueryItem = copy(streams = streams.toList())
}

/**
 * Which events of a log are meant: everything, or up to 64 items joined by OR.
 *
 * `Query(types = listOf("OrderPaid"))` is a query of one item; [or] joins queries.
 *
 * @property items the items; none means everything
 */
public data class Query(public val items: List<QueryItem>) {
    /** A query of one item. Without any restriction it means everything. */
    public constructor(
        types: List<String> = emptyList(),
        tags: List<String> = emptyList(),
        categories: List<String> = emptyList(),
        streams: List<String> = emptyList(),
    ) : this(QueryItem(types, tags, categories, streams).let { if (it == QueryItem()) emptyList() else listOf(it) })

    /** What this query or the other means; everything stays everything. */
    public infix fun or(other: Query): Query = if (items.isEmpty() || other.items.isEmpty()) everything() else Query(items + other.items)

    public companion object {
        private val EVERYTHING = Query(emptyList<QueryItem>())

        /** Every event. */
        @JvmStatic
        public fun everything(): Query = EVERYTHING

        /** What one of the items means. */
        @JvmStatic
        public fun of(vararg items: QueryItem): Query = Query(items.toList())
    }
}

/**
 * A fold of a stream's events up to a version, made by code that calls itself [schema].
 *
 * @property stream the stream
 * @property version the version of the last event folded
 * @property schema which code made it; another schema is another snapshot
 * @property data the state, at most 8 MiB
 */
public data class Snapshot(public val stream: String, public val version: Long, public val schema: String, public val data: Payload)

/**
 * Where an append's last event stands.
 *
 * @property version the stream's version after the append
 * @property position the position of the last event; not a cursor: an event with a smaller position may still be on its way
 * @property repeated the same events were appended before, and this is the first append's answer
 */
public data class AppendResult(public val version: Long, public val position: Long, public val repeated: Boolean)

/**
 * What an import did.
 *
 * @property imported events written
 * @property passedOver events that were there already, with the same content
 * @property position the position of the last event given; 0 when none was
 */
public data class ImportResult(public val imported: Long, public val passedOver: Long, public val position: Long)

/**
 * One page of the log.
 *
 * @property events the events that match, in position order
 * @property reached how far the page got: the `after` of the next page
 * @property caughtUp nothing more was there to read
 */
public data class Page(public val events: List<RecordedEvent>, public val reached: Long, public val caughtUp: Boolean)
