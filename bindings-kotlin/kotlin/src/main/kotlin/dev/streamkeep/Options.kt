// Generated from generate/surface.json by `make generate`. Do not edit it.

package dev.streamkeep

import java.time.Duration
import java.util.function.Consumer

/*
 * The options for Java: `ReadOptions.defaults().withFromVersion(5)`. Kotlin has named arguments instead.
 */

/** The options of `append`. */
public class AppendOptions internal constructor(
    internal val expected: Expected = Expected.Any,
    internal val timeout: Duration? = null,
) {
    /** The expected version of the stream. The default is any. */
    public fun withExpected(expected: Expected): AppendOptions = changed(expected = expected)

    /** How long it may take, waiting included. The default is the timeout of the store. */
    public fun withTimeout(timeout: Duration): AppendOptions = changed(timeout = timeout)

    private fun changed(
        expected: Expected = this.expected,
        timeout: Duration? = this.timeout,
    ): AppendOptions = AppendOptions(expected, timeout)

    internal fun write(frame: RequestWriter): Unit = with(frame) {
        expected(expected)
        optionalDuration(timeout)
    }

    private fun fields() = listOf("expected" to expected, "timeout" to timeout)

    override fun equals(other: Any?): Boolean = other is AppendOptions && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("AppendOptions", fields())

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): AppendOptions = AppendOptions()
    }
}

/** The options of `open`. Each can also be a parameter of the URL, which wins. */
public class OpenOptions internal constructor(
    internal val namespace: String? = null,
    internal val create: Boolean? = null,
    internal val durability: Durability? = null,
    internal val timeout: Duration? = null,
    internal val pollInterval: Duration? = null,
    internal val maxConnections: Int? = null,
    internal val insecure: Boolean? = null,
) {
    /** The namespace: a separate log inside the database. The default is `default`. */
    public fun withNamespace(namespace: String): OpenOptions = changed(namespace = namespace)

    /** Whether opening creates what is missing. If not, opening never writes. The default is true. */
    public fun withCreate(create: Boolean): OpenOptions = changed(create = create)

    /** How durable an acknowledged append is. The default is full. */
    public fun withDurability(durability: Durability): OpenOptions = changed(durability = durability)

    /** How long an operation may take if it has no timeout of its own. The default is 30 s. */
    public fun withTimeout(timeout: Duration): OpenOptions = changed(timeout = timeout)

    /** After which time a subscription looks again without a notification. The default is 250 ms. */
    public fun withPollInterval(pollInterval: Duration): OpenOptions = changed(pollInterval = pollInterval)

    /** The most connections of the pool. The default is 10. */
    public fun withMaxConnections(maxConnections: Int): OpenOptions = changed(maxConnections = maxConnections)

    /** Whether a connection to another machine may be unencrypted, or its host unverified. The default is false. */
    public fun withInsecure(insecure: Boolean): OpenOptions = changed(insecure = insecure)

    private fun changed(
        namespace: String? = this.namespace,
        create: Boolean? = this.create,
        durability: Durability? = this.durability,
        timeout: Duration? = this.timeout,
        pollInterval: Duration? = this.pollInterval,
        maxConnections: Int? = this.maxConnections,
        insecure: Boolean? = this.insecure,
    ): OpenOptions = OpenOptions(namespace, create, durability, timeout, pollInterval, maxConnections, insecure)

    internal fun write(frame: RequestWriter): Unit = with(frame) {
        optional(namespace) { text(it, "namespace") }
        optional(create) { flag(it) }
        optional(durability) { byte(it.ordinal) }
        optionalDuration(timeout)
        optionalDuration(pollInterval)
        optional(maxConnections) { long(it.toLong()) }
        optional(insecure) { flag(it) }
    }

    private fun fields() = listOf("namespace" to namespace, "create" to create, "durability" to durability, "timeout" to timeout, "pollInterval" to pollInterval, "maxConnections" to maxConnections, "insecure" to insecure)

    override fun equals(other: Any?): Boolean = other is OpenOptions && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("OpenOptions", fields())

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): OpenOptions = OpenOptions()
    }
}

/** The options of `read`. */
public class ReadOptions internal constructor(
    internal val fromVersion: Long = 1,
    internal val toVersion: Long? = null,
    internal val direction: Direction = Direction.Forward,
    internal val limit: Long? = null,
    internal val timeout: Duration? = null,
) {
    /** The lowest version, inclusive. The default is 1. */
    public fun withFromVersion(fromVersion: Long): ReadOptions = changed(fromVersion = fromVersion)

    /** The highest version, inclusive. By default there is no bound. */
    public fun withToVersion(toVersion: Long): ReadOptions = changed(toVersion = toVersion)

    /** The direction. The default is forward. */
    public fun withDirection(direction: Direction): ReadOptions = changed(direction = direction)

    /** The most events. By default there is no limit; 0 is refused. */
    public fun withLimit(limit: Long): ReadOptions = changed(limit = limit)

    /** How long each page may take. The default is the timeout of the store. */
    public fun withTimeout(timeout: Duration): ReadOptions = changed(timeout = timeout)

    private fun changed(
        fromVersion: Long = this.fromVersion,
        toVersion: Long? = this.toVersion,
        direction: Direction = this.direction,
        limit: Long? = this.limit,
        timeout: Duration? = this.timeout,
    ): ReadOptions = ReadOptions(fromVersion, toVersion, direction, limit, timeout)

    internal fun write(frame: RequestWriter): Unit = with(frame) {
        long(fromVersion)
        optional(toVersion) { long(it) }
        byte(direction.ordinal)
        optional(limit) { long(it) }
        optionalDuration(timeout)
    }

    private fun fields() = listOf("fromVersion" to fromVersion, "toVersion" to toVersion, "direction" to direction, "limit" to limit, "timeout" to timeout)

    override fun equals(other: Any?): Boolean = other is ReadOptions && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("ReadOptions", fields())

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): ReadOptions = ReadOptions()
    }
}

/** The options of `readAll`. */
public class ReadAllOptions internal constructor(
    internal val after: Long = 0,
    internal val before: Long? = null,
    internal val query: Query = Query.everything(),
    internal val direction: Direction = Direction.Forward,
    internal val limit: Long? = null,
    internal val timeout: Duration? = null,
) {
    /** Only positions above this. The default is 0. */
    public fun withAfter(after: Long): ReadAllOptions = changed(after = after)

    /** Only positions below this. By default there is no bound. */
    public fun withBefore(before: Long): ReadAllOptions = changed(before = before)

    /** Only events that match. The default matches everything. */
    public fun withQuery(query: Query): ReadAllOptions = changed(query = query)

    /** The direction. The default is forward. */
    public fun withDirection(direction: Direction): ReadAllOptions = changed(direction = direction)

    /** The most events that match. By default there is no limit; 0 is refused. */
    public fun withLimit(limit: Long): ReadAllOptions = changed(limit = limit)

    /** How long each page may take. The default is the timeout of the store. */
    public fun withTimeout(timeout: Duration): ReadAllOptions = changed(timeout = timeout)

    private fun changed(
        after: Long = this.after,
        before: Long? = this.before,
        query: Query = this.query,
        direction: Direction = this.direction,
        limit: Long? = this.limit,
        timeout: Duration? = this.timeout,
    ): ReadAllOptions = ReadAllOptions(after, before, query, direction, limit, timeout)

    internal fun write(frame: RequestWriter): Unit = with(frame) {
        long(after)
        optional(before) { long(it) }
        query(query)
        byte(direction.ordinal)
        optional(limit) { long(it) }
        optionalDuration(timeout)
    }

    private fun fields() = listOf("after" to after, "before" to before, "query" to query, "direction" to direction, "limit" to limit, "timeout" to timeout)

    override fun equals(other: Any?): Boolean = other is ReadAllOptions && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("ReadAllOptions", fields())

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): ReadAllOptions = ReadAllOptions()
    }
}

/** The options of `readPage`. */
public class ReadPageOptions internal constructor(
    internal val after: Long = 0,
    internal val query: Query = Query.everything(),
    internal val limit: Long? = null,
    internal val timeout: Duration? = null,
) {
    /** Only positions above this. The default is 0. */
    public fun withAfter(after: Long): ReadPageOptions = changed(after = after)

    /** Only events that match. The default matches everything. */
    public fun withQuery(query: Query): ReadPageOptions = changed(query = query)

    /** The most events: at most 1,000, which is the default. 0 is refused. */
    public fun withLimit(limit: Long): ReadPageOptions = changed(limit = limit)

    /** How long it may take. The default is the timeout of the store. */
    public fun withTimeout(timeout: Duration): ReadPageOptions = changed(timeout = timeout)

    private fun changed(
        after: Long = this.after,
        query: Query = this.query,
        limit: Long? = this.limit,
        timeout: Duration? = this.timeout,
    ): ReadPageOptions = ReadPageOptions(after, query, limit, timeout)

    internal fun write(frame: RequestWriter): Unit = with(frame) {
        long(after)
        query(query)
        optional(limit) { long(it) }
        optionalDuration(timeout)
    }

    private fun fields() = listOf("after" to after, "query" to query, "limit" to limit, "timeout" to timeout)

    override fun equals(other: Any?): Boolean = other is ReadPageOptions && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("ReadPageOptions", fields())

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): ReadPageOptions = ReadPageOptions()
    }
}

/** The options of `subscribe`. */
public class SubscribeOptions internal constructor(
    internal val query: Query = Query.everything(),
    internal val start: Start? = null,
    internal val after: Long? = null,
    @get:JvmName("onCaughtUp") internal val onCaughtUp: Consumer<in EventReader>? = null,
) {
    /** Only events that match. The default matches everything. */
    public fun withQuery(query: Query): SubscribeOptions = changed(query = query)

    /** Where to begin. The default is the beginning. Not together with `after`. */
    public fun withStart(start: Start): SubscribeOptions = changed(start = start)

    /** Only positions above this. Not together with `start`. */
    public fun withAfter(after: Long): SubscribeOptions = changed(after = after)

    /**
     * Called on the reading thread when everything that was committed so far was given, and again after the reader was
     * a whole page behind. Its argument is the reader, so `withOnCaughtUp(EventReader::close)` ends the reading there.
     */
    public fun withOnCaughtUp(onCaughtUp: Consumer<in EventReader>): SubscribeOptions = changed(onCaughtUp = onCaughtUp)

    private fun changed(
        query: Query = this.query,
        start: Start? = this.start,
        after: Long? = this.after,
        onCaughtUp: Consumer<in EventReader>? = this.onCaughtUp,
    ): SubscribeOptions = SubscribeOptions(query, start, after, onCaughtUp)

    internal fun write(frame: RequestWriter): Unit = with(frame) {
        query(query)
        optional(start) { byte(it.ordinal) }
        optional(after) { long(it) }
    }

    private fun fields() = listOf("query" to query, "start" to start, "after" to after, "onCaughtUp" to onCaughtUp)

    override fun equals(other: Any?): Boolean = other is SubscribeOptions && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("SubscribeOptions", fields())

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): SubscribeOptions = SubscribeOptions()
    }
}
