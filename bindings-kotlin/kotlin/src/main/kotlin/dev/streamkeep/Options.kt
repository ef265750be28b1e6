package dev.streamkeep

import java.time.Duration
import java.util.function.Consumer

/*
 * The options for Java: `ReadOptions.defaults().withFromVersion(5)`. Kotlin has named arguments instead. Core sets the
 * defaults, so that they are the same in every language.
 */

/** How to open a store. Each option can also be a parameter of the URL, which wins. */
@ConsistentCopyVisibility
public data class OpenOptions internal constructor(
    internal val namespace: String? = null,
    internal val create: Boolean? = null,
    internal val durability: Durability? = null,
    internal val timeout: Duration? = null,
    internal val pollInterval: Duration? = null,
    internal val maxConnections: Int? = null,
    internal val insecure: Boolean? = null,
) {
    /** The namespace, a separate log. The default is `default`. */
    public fun withNamespace(namespace: String): OpenOptions = copy(namespace = namespace)

    /** Whether opening creates what is missing. If not, opening never writes. The default is true. */
    public fun withCreate(create: Boolean): OpenOptions = copy(create = create)

    /** How durable an acknowledged append is. The default is full. */
    public fun withDurability(durability: Durability): OpenOptions = copy(durability = durability)

    /** How long an operation may take if it has no timeout of its own. The default is 30 s. */
    public fun withTimeout(timeout: Duration): OpenOptions = copy(timeout = timeout)

    /** After which time a subscription looks again without a notification. The default is 250 ms. */
    public fun withPollInterval(pollInterval: Duration): OpenOptions = copy(pollInterval = pollInterval)

    /** The most connections of the pool. The default is 10. */
    public fun withMaxConnections(maxConnections: Int): OpenOptions = copy(maxConnections = maxConnections)

    /** Whether a connection to another machine may be unencrypted, or its host unverified. The default is false. */
    public fun withInsecure(insecure: Boolean): OpenOptions = copy(insecure = insecure)

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): OpenOptions = OpenOptions()
    }
}

/** How to append. */
@ConsistentCopyVisibility
public data class AppendOptions internal constructor(internal val expected: Expected = Expected.Any, internal val timeout: Duration? = null) {
    /** The expected version of the stream. The default is any version. */
    public fun withExpected(expected: Expected): AppendOptions = copy(expected = expected)

    /** How long it may take, waiting included. The default is the timeout of the store. */
    public fun withTimeout(timeout: Duration): AppendOptions = copy(timeout = timeout)

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): AppendOptions = AppendOptions()
    }
}

/** Which part of a stream to read. */
@ConsistentCopyVisibility
public data class ReadOptions internal constructor(
    internal val fromVersion: Long = 1,
    internal val toVersion: Long? = null,
    internal val direction: Direction = Direction.Forward,
    internal val limit: Long? = null,
    internal val timeout: Duration? = null,
) {
    /** The lowest version, inclusive. The default is 1. */
    public fun withFromVersion(fromVersion: Long): ReadOptions = copy(fromVersion = fromVersion)

    /** The highest version, inclusive. By default there is no bound. */
    public fun withToVersion(toVersion: Long): ReadOptions = copy(toVersion = toVersion)

    /** The direction. The default is forward. */
    public fun withDirection(direction: Direction): ReadOptions = copy(direction = direction)

    /** The most events. By default there is no limit; 0 is refused. */
    public fun withLimit(limit: Long): ReadOptions = copy(limit = limit)

    /** How long each page may take. The default is the timeout of the store. */
    public fun withTimeout(timeout: Duration): ReadOptions = copy(timeout = timeout)

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): ReadOptions = ReadOptions()
    }
}

/** Which part of the log to read. */
@ConsistentCopyVisibility
public data class ReadAllOptions internal constructor(
    internal val after: Long = 0,
    internal val before: Long? = null,
    internal val query: Query = Query.everything(),
    internal val direction: Direction = Direction.Forward,
    internal val limit: Long? = null,
    internal val timeout: Duration? = null,
) {
    /** Only positions above this. The default is 0. */
    public fun withAfter(after: Long): ReadAllOptions = copy(after = after)

    /** Only positions below this. By default there is no bound. */
    public fun withBefore(before: Long): ReadAllOptions = copy(before = before)

    /** Only events that match. The default matches everything. */
    public fun withQuery(query: Query): ReadAllOptions = copy(query = query)

    /** The direction. The default is forward. */
    public fun withDirection(direction: Direction): ReadAllOptions = copy(direction = direction)

    /** The most events that match. By default there is no limit; 0 is refused. */
    public fun withLimit(limit: Long): ReadAllOptions = copy(limit = limit)

    /** How long each page may take. The default is the timeout of the store. */
    public fun withTimeout(timeout: Duration): ReadAllOptions = copy(timeout = timeout)

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): ReadAllOptions = ReadAllOptions()
    }
}

/** Which page of the log to read. */
@ConsistentCopyVisibility
public data class ReadPageOptions internal constructor(
    internal val after: Long = 0,
    internal val query: Query = Query.everything(),
    internal val limit: Long? = null,
    internal val timeout: Duration? = null,
) {
    /** Only positions above this. The default is 0. */
    public fun withAfter(after: Long): ReadPageOptions = copy(after = after)

    /** Only events that match. The default matches everything. */
    public fun withQuery(query: Query): ReadPageOptions = copy(query = query)

    /** The most events: at most 1,000, which is the default. 0 is refused. */
    public fun withLimit(limit: Long): ReadPageOptions = copy(limit = limit)

    /** How long it may take. The default is the timeout of the store. */
    public fun withTimeout(timeout: Duration): ReadPageOptions = copy(timeout = timeout)

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): ReadPageOptions = ReadPageOptions()
    }
}

/** What to subscribe to. */
@ConsistentCopyVisibility
public data class SubscribeOptions internal constructor(
    internal val query: Query = Query.everything(),
    internal val start: Start? = null,
    internal val after: Long? = null,
    @get:JvmName("onCaughtUp") internal val onCaughtUp: Consumer<in EventReader>? = null,
) {
    /** Only events that match. The default matches everything. */
    public fun withQuery(query: Query): SubscribeOptions = copy(query = query)

    /** Where to begin. The default is the beginning. Not together with `after`. */
    public fun withStart(start: Start): SubscribeOptions = copy(start = start)

    /** Only positions above this. Not together with `start`. */
    public fun withAfter(after: Long): SubscribeOptions = copy(after = after)

    /**
     * Called on the reading thread when everything that was committed so far was given, and again after the reader was
     * a whole page behind and caught up. Its argument is the reader, so `withOnCaughtUp(EventReader::close)` ends the
     * subscription there.
     */
    public fun withOnCaughtUp(onCaughtUp: Consumer<in EventReader>): SubscribeOptions = copy(onCaughtUp = onCaughtUp)

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): SubscribeOptions = SubscribeOptions()
    }
}
