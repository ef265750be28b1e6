package dev.streamkeep

import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.withContext
import kotlin.time.Duration
import kotlin.time.toJavaDuration

/**
 * A store: one open handle on one namespace of one database. For Kotlin; Java has [BlockingEventStore] and
 * [AsyncEventStore].
 *
 * All functions can be called from several coroutines at the same time. A failed call throws a [StreamkeepException].
 * If a coroutine is cancelled, its append is stored completely or not at all: it is withdrawn if it still waits, and
 * runs to its end if it was sent.
 */
public class EventStore internal constructor(private val calls: Calls) {
    private val channel = calls.channel

    /**
     * Appends events to a stream: all of them or none, with consecutive versions. Acknowledged means durable.
     *
     * Repeating an append of the same events is safe: the result is then that of the first time, marked `repeated`. An
     * append has at least one event, and at most 10,000 events and 32 MiB.
     *
     * @param expected the expected version of the stream
     * @param timeout how long it may take; the default is the timeout of the store
     * @throws ConflictException if the stream is not at the expected version
     * @throws DuplicateEventException if an id is known with other content or at another place
     * @throws InvalidArgumentException or [LimitExceededException] for values that the contract does not allow, before
     * anything is written
     * @throws UnavailableException past the deadline, with the outcome
     */
    public suspend fun append(stream: String, events: List<Event>, expected: Expected = Expected.Any, timeout: Duration? = null): AppendResult =
        channel.call(calls.append(stream, events, AppendOptions(expected, timeout?.toJavaDuration())))

    /**
     * Imports events that were recorded elsewhere, with their stream, version, id and time. Values that are absent are
     * assigned. Positions are new, in the order given.
     *
     * Each 1,000 events (or 8 MiB) are written completely or not at all. An event that is stored already is passed
     * over, so an import can be repeated and resumed.
     *
     * @param timeout how long the whole import may take; the default is the timeout of the store
     * @throws DuplicateEventException if an id is known with other content
     * @throws ConflictException if a version does not follow
     */
    public suspend fun importEvents(events: List<ImportEvent>, timeout: Duration? = null): ImportResult = channel.call(calls.importEvents(events, timeout?.toJavaDuration()))

    /**
     * Reads the events of a stream in the order of versions, page by page while they are collected. An absent stream
     * has none. Each collection starts a new read.
     *
     * @param fromVersion the lowest version, inclusive
     * @param toVersion the highest version, inclusive; by default there is no bound
     * @param direction the direction; the bounds are the lowest and the highest in both directions
     * @param limit the most events; by default there is no limit
     * @param timeout how long each page may take; the default is the timeout of the store
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
     * Reads the events of the log that match a query, in the order of positions. Each collection starts a new read.
     *
     * @param after only positions above this
     * @param before only positions below this; by default there is no bound
     * @param query only events that match
     * @param direction the direction; the bounds are the lowest and the highest in both directions
     * @param limit the most events that match; by default there is no limit
     * @param timeout how long each page may take; the default is the timeout of the store
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
     * Reads one page of the log and tells how far it looked.
     *
     * @param limit the most events: at most 1,000, which is the default
     */
    public suspend fun readPage(after: Long = 0, query: Query = Query.everything(), limit: Long? = null, timeout: Duration? = null): Page =
        channel.call(calls.readPage(ReadPageOptions(after, query, limit, timeout?.toJavaDuration())))

    /** Returns the last event of a stream; `null` if the stream is absent. An acknowledged append is seen at once. */
    public suspend fun last(stream: String, timeout: Duration? = null): RecordedEvent? = channel.call(calls.last(stream, timeout?.toJavaDuration()))

    /**
     * Subscribes to the log: gives every committed event that matches, once, in the order of positions. It first
     * catches up and then goes on with new events, whichever process writes them.
     *
     * A slow collector slows down only itself. Ending the collection, by cancelling it or by an operator like `take`,
     * ends the work behind it. Each collection starts a new subscription.
     *
     * @param start where to begin; the default is the beginning; not together with [after]
     * @param after only positions above this
     * @param onCaughtUp called in the collecting coroutine when everything that was committed so far was given, and
     * again after the collector was a whole page behind and caught up; `currentCoroutineContext().cancel()` in it ends
     * the collecting coroutine there
     */
    public fun subscribe(
        query: Query = Query.everything(),
        start: Start? = null,
        after: Long? = null,
        onCaughtUp: (suspend () -> Unit)? = null,
    ): Flow<RecordedEvent> = events(onCaughtUp) { calls.subscribe(SubscribeOptions(query, start, after)) }

    /**
     * Saves a snapshot, and replaces one with the same stream, schema and version. An older snapshot never replaces a
     * newer one.
     */
    public suspend fun saveSnapshot(snapshot: Snapshot, timeout: Duration? = null): Unit = channel.call(calls.saveSnapshot(snapshot, timeout?.toJavaDuration()))

    /**
     * Loads the newest valid snapshot of a stream and schema, at or before a version if one is given; `null` if there
     * is none.
     */
    public suspend fun loadSnapshot(stream: String, schema: String, atOrBefore: Long? = null, timeout: Duration? = null): Snapshot? =
        channel.call(calls.loadSnapshot(stream, schema, atOrBefore, timeout?.toJavaDuration()))

    /** Returns the position of the last committed event that is safe to read; 0 if the log is empty. */
    public suspend fun head(timeout: Duration? = null): Long = channel.call(calls.head(timeout?.toJavaDuration()))

    /**
     * Closes the store: waits for calls in flight, then frees everything. Closing twice is fine; any later use is a
     * [ClosedException].
     */
    public suspend fun close(): Unit = channel.call(calls.close())

    /** Runs [block] with the store, and closes the store even if [block] fails. */
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
         * Opens a store: `memory:` (a log of this handle), `memory:NAME` (shared in this process), `sqlite:PATH`,
         * `postgres://…`, `mongodb://…` or `mongodb+srv://…`. Each option can also be a parameter of the URL.
         *
         * @param namespace a separate log inside the database; the default is `default`
         * @param create whether opening creates what is missing; the default is true
         * @param durability how durable an acknowledged append is; the default is full
         * @param timeout how long an operation may take if it has no timeout of its own; the default is 30 s
         * @param pollInterval after which time a subscription looks again without a notification; the default is 250 ms
         * @param maxConnections the most connections of the pool; the default is 10
         * @param insecure whether a connection to another machine may be unencrypted, or its host unverified; the
         * default is false
         * @throws ConfigException if the URL, an option or the configuration of the server is wrong
         * @throws UnavailableException if the database cannot be reached
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
            return EventStore(Calls.open(url, options))
        }
    }
}
