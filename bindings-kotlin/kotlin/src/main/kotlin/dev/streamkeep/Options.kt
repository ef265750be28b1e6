package dev.streamkeep

import java.time.Duration
import java.util.function.Consumer

/*
 * Options as Java gives them: `ReadOptions.defaults().withFromVersion(5)`. Kotlin has them as named arguments. What is not given is for core to decide, so that a default is
 * the same in every language.
 */

/** How to open a store. Every option can stand in the URL too, and what stands there is what counts. */
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
    /** The namespace: a log of its own; `default` unless given. */
    public fun withNamespace(namespace: String): OpenOptions = copy(namespace = namespace)

    /** Whether what is missing is created; if not, opening never writes. True unless given. */
    public fun withCreate(create: Boolean): OpenOptions = copy(create = create)

    /** How far an acknowledged append can be trusted; fully unless given. */
    public fun withDurability(durability: Durability): OpenOptions = copy(durability = durability)

    /** How long an operation may take unless it says otherwise; 30 s unless given. */
    public fun withTimeout(timeout: Duration): OpenOptions = copy(timeout = timeout)

    /** How long a subscription waits before it looks again without a notification; 250 ms unless given. */
    public fun withPollInterval(pollInterval: Duration): OpenOptions = copy(pollInterval = pollInterval)

    /** The most connections of the store's pool; 10 unless given. */
    public fun withMaxConnections(maxConnections: Int): OpenOptions = copy(maxConnections = maxConnections)

    /** Whether a connection off this machine may go unencrypted or to an unverified host; no unless given. */
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
    /** What the stream must be at; anything unless given. */
    public fun withExpected(expected: Expected): AppendOptions = copy(expected = expected)

    /** How long it may take in all, waiting included; the store's time-out unless given. */
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
    /** The lowest version wanted, inclusive; 1 unless given. */
    public fun withFromVersion(fromVersion: Long): ReadOptions = copy(fromVersion = fromVersion)

    /** The highest version wanted, inclusive; no bound unless given. */
    public fun withToVersion(toVersion: Long): ReadOptions = copy(toVersion = toVersion)

    /** Which way; forward unless given. */
    public fun withDirection(direction: Direction): ReadOptions = copy(direction = direction)

    /** The most events wanted; no limit unless given, 0 is refused. */
    public fun withLimit(limit: Long): ReadOptions = copy(limit = limit)

    /** How long each page may take; the store's time-out unless given. */
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
    /** Only positions above this; 0 unless given. */
    public fun withAfter(after: Long): ReadAllOptions = copy(after = after)

    /** Only positions below this; no bound unless given. */
    public fun withBefore(before: Long): ReadAllOptions = copy(before = before)

    /** Only events that match; everything unless given. */
    public fun withQuery(query: Query): ReadAllOptions = copy(query = query)

    /** Which way; forward unless given. */
    public fun withDirection(direction: Direction): ReadAllOptions = copy(direction = direction)

    /** The most events wanted, counting those that match; no limit unless given, 0 is refused. */
    public fun withLimit(limit: Long): ReadAllOptions = copy(limit = limit)

    /** How long each page may take; the store's time-out unless given. */
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
    /** Only positions above this; 0 unless given. */
    public fun withAfter(after: Long): ReadPageOptions = copy(after = after)

    /** Only events that match; everything unless given. */
    public fun withQuery(query: Query): ReadPageOptions = copy(query = query)

    /** The most events wanted; 1,000 at most and unless given, 0 is refused. */
    public fun withLimit(limit: Long): ReadPageOptions = copy(limit = limit)

    /** How long it may take; the store's time-out unless given. */
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
    /** Only events that match; everything unless given. */
    public fun withQuery(query: Query): SubscribeOptions = copy(query = query)

    /** Where to begin; the beginning unless given. Not together with `after`. */
    public fun withStart(start: Start): SubscribeOptions = copy(start = start)

    /** Only positions above this. Not together with `start`. */
    public fun withAfter(after: Long): SubscribeOptions = copy(after = after)

    /**
     * Told, by the thread that reads, when everything committed so far was given, and again whenever the reader fell behind a whole page and caught up. It is given
     * the reader: `withOnCaughtUp(EventReader::close)` ends the subscription there.
     */
    public fun withOnCaughtUp(onCaughtUp: Consumer<in EventReader>): SubscribeOptions = copy(onCaughtUp = onCaughtUp)

    public companion object {
        /** Every option at its default. */
        @JvmStatic
        public fun defaults(): SubscribeOptions = SubscribeOptions()
    }
}
