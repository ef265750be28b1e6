package dev.streamkeep

import java.time.Duration
import java.util.concurrent.CompletableFuture

/**
 * A request to the native library, and how to read its answer. The numbers of the operations are those of `store.rs`.
 */
internal class Request<T>(
    val frame: RequestWriter,
    private val read: (FrameReader) -> T,
    /** Undoes a call that succeeded after its caller was gone. */
    val abandoned: () -> Unit = {},
    /** Called when the answer arrives, even if nobody waits for it any more; says whether the call failed. */
    val settled: (Boolean) -> Unit = {},
) {
    /** Reads the answer on the caller's thread, so that an error has the caller's stack. */
    fun answer(reply: Reply): T = when {
        reply === Reply.LOST -> throw InternalException("the native library failed, so the outcome of the call is unknown", Circumstances(outcome = Outcome.Unknown, operation = frame.operation))
        reply === Reply.CLOSED && !frame.isClose -> throw ClosedException("the store is closed", Circumstances(operation = frame.operation))
        reply.failed -> throw readError(reply.frame)
        else -> read(reply.frame)
    }
}

/** The outcome of a call. */
internal class Reply(val failed: Boolean, val frame: FrameReader) {
    companion object {
        private val NOTHING = FrameReader(ByteArray(0))

        /** There is no answer, because the native library failed. */
        val LOST = Reply(failed = true, NOTHING)

        /** There is no answer, because all stores are closed. */
        val CLOSED = Reply(failed = false, NOTHING)
    }
}

/** A batch of a reader's events, in order. */
internal class Batch(val events: List<RecordedEvent>, val ended: Boolean, val caughtUp: Boolean)

/** A store by its number, with its requests. When this object is collected, the store is closed. */
internal class Calls private constructor(private val share: Channel.Share, private val number: Long) {
    val channel: Channel get() = share.channel

    private fun <T> request(operation: Int, read: (FrameReader) -> T, write: RequestWriter.() -> Unit): Request<T> =
        Request(RequestWriter(operation).apply { long(number) }.apply(write), read)

    fun append(stream: String, events: List<Event>, options: AppendOptions): Request<AppendResult> =
        request(APPEND, { AppendResult(it.long(), it.long(), it.flag()) }) {
            text(stream, "stream")
            when (val expected = options.expected) {
                Expected.Any -> byte(0)
                Expected.NoStream -> byte(1)
                Expected.StreamExists -> byte(2)
                is Expected.Exact -> byte(EXACT).also { long(expected.version) }
            }
            optionalDuration(options.timeout)
            int(events.size)
            // The compiler refuses other elements, but a raw or unchecked list of Java's can have them.
            for (event in events as List<Any?>) (event as? Event ?: throw notAnEvent(event)).write(this)
        }

    fun importEvents(events: List<ImportEvent>, timeout: Duration?): Request<ImportResult> = request(IMPORT_EVENTS, { ImportResult(it.long(), it.long(), it.long()) }) {
        optionalDuration(timeout)
        int(events.size)
        events.forEach { it.write(this) }
    }

    fun read(stream: String, options: ReadOptions): Reading = reading(READ) {
        text(stream, "stream")
        long(options.fromVersion)
        optionalLong(options.toVersion)
        flag(options.direction == Direction.Backward)
        optionalLong(options.limit)
        optionalDuration(options.timeout)
    }

    fun readAll(options: ReadAllOptions): Reading = reading(READ_ALL) {
        long(options.after)
        optionalLong(options.before)
        query(options.query)
        flag(options.direction == Direction.Backward)
        optionalLong(options.limit)
        optionalDuration(options.timeout)
    }

    fun readPage(options: ReadPageOptions): Request<Page> = request(READ_PAGE, { Page(events(it), it.long(), it.flag()) }) {
        long(options.after)
        query(options.query)
        optionalLong(options.limit)
        optionalDuration(options.timeout)
    }

    fun subscribe(options: SubscribeOptions): Reading = reading(SUBSCRIBE) {
        query(options.query)
        optional(options.start) { flag(it == Start.Now) }
        optionalLong(options.after)
    }

    fun saveSnapshot(snapshot: Snapshot, timeout: Duration?): Request<Unit> = request(SAVE_SNAPSHOT, {}) {
        optionalDuration(timeout)
        text(snapshot.stream, "stream")
        long(snapshot.version)
        text(snapshot.schema, "schema")
        snapshot.data.write(this)
    }

    fun loadSnapshot(stream: String, schema: String, atOrBefore: Long?, timeout: Duration?): Request<Snapshot?> =
        request(LOAD_SNAPSHOT, { it.optional { Snapshot(it.text(), it.long(), it.text(), Payload.read(it)) } }) {
            optionalDuration(timeout)
            text(stream, "stream")
            text(schema, "schema")
            optionalLong(atOrBefore)
        }

    fun head(timeout: Duration?): Request<Long> = request(HEAD, FrameReader::long) { optionalDuration(timeout) }

    fun close(): Request<Unit> = close(share, number)

    private fun reading(operation: Int, write: RequestWriter.() -> Unit): Reading {
        val reader = Channel.newNumber()
        return Reading(channel, reader) { request(operation, ::batch) { long(reader).also { write() } } }
    }

    companion object {
        private const val OPEN = 2
        private const val APPEND = 3
        private const val IMPORT_EVENTS = 4
        private const val READ = 5
        private const val READ_ALL = 6
        private const val READ_PAGE = 7
        private const val SUBSCRIBE = 8
        private const val NEXT = 9
        private const val STOP = 10
        private const val SAVE_SNAPSHOT = 11
        private const val LOAD_SNAPSHOT = 12
        private const val HEAD = 13
        private const val CLOSE = 14

        private const val EXACT = 3
        private const val ENDED = 1
        private const val CAUGHT_UP = 2

        private fun close(share: Channel.Share, number: Long) =
            Request<Unit>(RequestWriter(CLOSE).apply { long(number) }, {}, settled = { failed -> if (!failed) share.release() })

        suspend fun open(url: String, options: OpenOptions): Calls = opening(url, options) { channel, request -> channel.call(request) }

        fun openBlocking(url: String, options: OpenOptions): Calls = opening(url, options) { channel, request -> channel.block(request) }

        fun openFuture(url: String, options: OpenOptions): CompletableFuture<Calls> = try {
            opening(url, options) { channel, request -> channel.future { request } }
        } catch (refused: StreamkeepException) {
            CompletableFuture.failedFuture(refused)
        }

        private inline fun <R> opening(url: String, options: OpenOptions, begin: (Channel, Request<Calls>) -> R): R {
            val frame = RequestWriter(OPEN)
            val number = Channel.newNumber()
            // Before there is a share of the channel, because a text can be refused.
            with(frame) {
                long(number)
                text(url, "url")
                optional(options.namespace) { text(it, "namespace") }
                optional(options.create, ::flag)
                optional(options.durability) { flag(it == Durability.Relaxed) }
                optionalDuration(options.timeout)
                optionalDuration(options.pollInterval)
                optionalLong(options.maxConnections?.toLong())
                optional(options.insecure, ::flag)
            }
            val share = Channel.share()
            val forget = { share.channel.ask(close(share, number)) }
            val kept = { _: FrameReader -> Calls(share, number).also { share.channel.onCollected(it) { if (share.isHeld) forget() } } }
            return begin(share.channel, Request(frame, kept, abandoned = forget, settled = { failed -> if (failed) share.release() }))
        }

        fun next(reader: Long): Request<Batch> = Request(RequestWriter(NEXT).apply { long(reader) }, ::batch)

        fun stop(reader: Long): RequestWriter = RequestWriter(STOP).apply { long(reader) }

        private fun events(frame: FrameReader): List<RecordedEvent> = frame.list { RecordedEvent.read(frame) }

        private fun batch(frame: FrameReader): Batch {
            val flags = frame.byte()
            return Batch(events(frame), ended = flags and ENDED != 0, caughtUp = flags and CAUGHT_UP != 0)
        }
    }
}

private fun notAnEvent(given: Any?) = InvalidArgumentException(
    "events",
    if (given is RecordedEvent) {
        "a recorded event cannot be appended again: it has its place in the log. Make a new event of its content: Event(recorded.type, recorded.data, recorded.metadata, recorded.tags)"
    } else {
        "events has an element that is not an Event"
    },
    Circumstances(operation = "append"),
)

private fun RequestWriter.query(query: Query) {
    int(query.items.size)
    for (item in query.items) listOf(item.types, item.tags, item.categories, item.streams).forEach { texts(it, "query") }
}

/** A read or a subscription, pulled in batches by one caller at a time. */
internal class Reading(val channel: Channel, private val number: Long, private val begin: () -> Request<Batch>) {
    private var begun = false

    /** Whether it was read to its end or stopped. */
    @get:Synchronized
    var isOver: Boolean = false
        private set

    /** The request for the next batch. */
    @Synchronized
    fun next(): Request<Batch> = if (begun) Calls.next(number) else begin().also { begun = true }

    @Synchronized
    fun took(batch: Batch): Batch = batch.also { isOver = isOver || it.ended }

    /** Stops the work behind it. A caller that waits for the next batch gets the end. Calling it twice is fine. */
    @Synchronized
    fun stop() {
        if (begun && !isOver) channel.tell(Calls.stop(number))
        isOver = true
    }

    /** Stops when [owner] is collected, to which this keeps no reference. */
    fun stopWhenCollected(owner: Any) {
        channel.onCollected(owner, ::stop)
    }
}
