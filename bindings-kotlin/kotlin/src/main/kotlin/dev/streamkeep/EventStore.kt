package dev.streamkeep

import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.withContext
import kotlin.time.Duration
import kotlin.time.toJavaDuration

/**
 * A store: one open handle on one namespace of one database. For Kotlin; Java has [BlockingEventStore] and [AsyncEventStore].
 *
 * All functions can be called from any coroutine, at any time, together. What fails, fails with a [StreamkeepException]. Cancelling a coroutine leaves its append whole or
 * absent: one still queued is withdrawn, one sent runs on.
 */
public class EventStore internal constructor(private val calls: Calls) {
    private val channel = calls.channel

    /**
     * Appends events to a stream: all of them or none, with consecutive versions. Acknowledged means durable.
     *
     * Repeating an append of the same events is safe: what was done already answers as the first time, `repeated`. At most 10,000 events or 32 MiB, at least one.
     *
     * @param expected what the stream must be at
     * @param timeout how long it may take in all; the store's time-out unless given
     * @throws ConflictException when the stream is not as expected
     * @throws DuplicateEventException when an id is known with other content or in another place
     * @throws InvalidArgumentException or [LimitExceededException] for values outside the contract, before anything is written
     * @throws UnavailableException past the deadline, with what is known of the outcome
     */
    public suspend fun append(stream: String, events: List<Event>, expected: Expected = Expected.Any, timeout: Duration? = null): AppendResult =
        channel.call(calls.append(stream, events, AppendOptions(expected, timeout?.toJavaDuration())))

    /**
     * Takes events recorded elsewhere: stream, version, id and time as given (assigned where not), positions anew in the order given.
     *
     * Written whole or not at all per 1,000 events (or 8 MiB). What is there already is passed over, so that an import can be repeated and resumed.
     *
     * @throws DuplicateEventException when an id is known with other content
     * @throws ConflictException when a version does not follow
     */
    public suspend fun importEvents(events: List<ImportEvent>): ImportResult = channel.call(calls.importEvents(events))

    /**
     * Reads a stream's events in version order, page by page while they are collected; an absent stream has none. Each collection reads anew.
     *
     * @param fromVersion the lowest version wanted, inclusive
     * @param toVersion the highest version wanted, inclusive; no bound unless given
     * @param direction which way; the bounds are lowest and highest in either
     * @param limit the most events wanted; no limit unless given
     * @param timeout how long each page may take; the store's time-out unless given
     */
    public fun read(
        stream: String,
        fromVersion: Long = 1,
        toVersion: Long? = null,
        direction: Direction = Direction.Forward,
        limit: Long? = null,
        timeout: Duration? = null,
    ): Flow<RecordedEvent> = events { calls.read(stream, ReadOptions(fromVersion, toVersion, direction, limit, timeout?.toJavaDuration())) }

    /**
     * Reads the log's events that match a query, in position order. Each collection reads anew.
     *
     * @param after only positions above this
     * @param before only positions below this; no bound unless given
     * @param query only events that match
     * @param direction which way; the bounds are lowest and highest in either
     * @param limit the most events wanted, counting those that match; no limit unless given
     * @param timeout how long each page may take; the store's time-out unless given
     */
    public fun readAll(
        after: Long = 0,
        before: Long? = null,
        query: Query = Query.everything(),
        direction: Direction = Direction.Forward,
        limit: Long? = null,
        timeout: Duration? = null,
    ): Flow<RecordedEvent> = events { calls.readAll(ReadAllOptions(after, before, query, direction, limit, timeout?.toJavaDuration())) }

    /**
     * Reads one page of the log and says how far it got.
     *
     * @param limit the most events wanted; 1,000 at most and unless given
     */
    public suspend fun readPage(after: Long = 0, query: Query = Query.everything(), limit: Long? = null, timeout: Duration? = null): Page =
        channel.call(calls.readPage(ReadPageOptions(after, query, limit, timeout?.toJavaDuration())))

    /**
     * Follows the log: every committed event that matches, once, in position order, first what is there, then what comes, whichever process wrote it.
     *
     * A slow collector slows itself alone; ending the collection, by cancelling it or by an operator like `take`, ends the work behind it. Each collection begins anew.
     *
     * @param start where to begin; the beginning unless given; not together with [after]
     * @param after only positions above this
     * @param onCaughtUp told, in the collecting coroutine, when everything committed so far was given, and again whenever the collector fell behind a whole page and caught up;
     * `currentCoroutineContext().cancel()` in it ends the collecting coroutine there
     */
    public fun subscribe(
        query: Query = Query.everything(),
        start: Start? = null,
        after: Long? = null,
        onCaughtUp: (suspend () -> Unit)? = null,
    ): Flow<RecordedEvent> = events(onCaughtUp) { calls.subscribe(SubscribeOptions(query, start, after)) }

    /** Saves a snapshot. One of the same stream, schema and version is replaced; an older one never takes the place of a newer one. */
    public suspend fun saveSnapshot(snapshot: Snapshot): Unit = channel.call(calls.saveSnapshot(snapshot))

    /** Loads the newest snapshot of a stream and schema, at or before a version if one is given; `null` when there is none that can be believed. */
    public suspend fun loadSnapshot(stream: String, schema: String, atOrBefore: Long? = null): Snapshot? = channel.call(calls.loadSnapshot(stream, schema, atOrBefore))

    /** The position of the last committed event that is safe to read; 0 when the log is empty. */
    public suspend fun head(): Long = channel.call(calls.head())

    /** Closes the store: waits for what is in flight, then frees everything. Twice is fine; any later use is a [ClosedException]. */
    public suspend fun close(): Unit = channel.call(calls.close())

    /** Runs [block] with the store and closes it, whatever happens. */
    public suspend fun <T> use(block: suspend (EventStore) -> T): T = try {
        block(this)
    } finally {
        withContext(NonCancellable) { close() }
    }

    private fun events(onCaughtUp: (suspend () -> Unit)? = null, begin: () -> Reading): Flow<RecordedEvent> = flow {
        val reading = begin()
        try {
            while (!reading.isOver) {
                val batch = reading.took(channel.call(reading.next()))
                for (event in batch.events) emit(event)
                if (batch.caughtUp) onCaughtUp?.invoke()
            }
        } finally {
            reading.stop()
        }
    }

    public companion object {
        /**
         * Opens a store: `memory:` (its own), `memory:NAME` (shared in the process), `sqlite:PATH`, `postgres://…`, `mongodb://…`, `mongodb+srv://…`. Every option can stand in the URL too.
         *
         * @param namespace a log of its own inside the database; `default` unless given
         * @param create whether what is missing is created; true unless given
         * @param durability how far an acknowledged append can be trusted; fully unless given
         * @param timeout how long an operation may take unless it says otherwise; 30 s unless given
         * @param pollInterval how long a subscription waits before it looks again without a notification; 250 ms unless given
         * @param maxConnections the most connections of the store's pool; 10 unless given
         * @param insecure whether a connection off this machine may go unencrypted or to an unverified host; no unless given
         * @throws ConfigException when the URL, an option or the server's set-up is not one to work with
         * @throws UnavailableException when the database cannot be reached
         */
        public suspend fun open(
            url: String,
            namespace: String? = null,
            create: Boolean? = null,
            durability: Durability? = null,
            timeout: Duration? = null,
            pollInterval: Duration? = null,
            maxConnections: Int? = null,
            insecure: Boolean? = null,
        ): EventStore {
            val options = OpenOptions(namespace, create, durability, timeout?.toJavaDuration(), pollInterval?.toJavaDuration(), maxConnections, insecure)
            return EventStore(Channel.shared.call(Calls.open(Channel.shared, url, options)))
        }
    }
}
