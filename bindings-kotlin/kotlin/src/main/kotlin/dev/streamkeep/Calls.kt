package dev.streamkeep

import java.time.Duration
import java.util.concurrent.CompletableFuture
import java.util.function.Function

/**
 * A request to the native library, and how to read its answer. `Operation` has the numbers.
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

    /** The same request with another form of the answer. */
    fun <R> map(how: (T) -> R): Request<R> = Request(frame, { how(read(it)) }, abandoned, settled)
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
internal class Calls private constructor(private val share: Channel.Share, private val number: Long) : Operations() {
    val channel: Channel get() = share.channel

    override fun <T> request(operation: Int, read: (FrameReader) -> T, write: RequestWriter.() -> Unit): Request<T> =
        Request(RequestWriter(operation).apply { long(number) }.apply(write), read)

    fun close(): Request<Unit> = close(share, number)

    override fun reading(operation: Int, write: RequestWriter.() -> Unit): Reading {
        val reader = Channel.newNumber()
        return Reading(channel, reader) { request(operation, ::batch) { long(reader).also { write() } } }
    }

    companion object {
        // The numbers that are not of a store; `Operation` has the others.
        private const val NEXT = 2
        private const val STOP = 3

        private const val ENDED = 1
        private const val CAUGHT_UP = 2

        private fun close(share: Channel.Share, number: Long) =
            Request<Unit>(RequestWriter(Operation.CLOSE).apply { long(number) }, {}, settled = { failed -> if (!failed) share.release() })

        suspend fun open(url: String, options: OpenOptions): Calls = opening(url, options) { channel, request -> channel.call(request) }

        fun openBlocking(url: String, options: OpenOptions): Calls = opening(url, options) { channel, request -> channel.block(request) }

        /** The future is the call's own and not derived from it: cancelling it withdraws the call. */
        fun <T> openFuture(url: String, options: OpenOptions, made: Function<Calls, T>): CompletableFuture<T> = try {
            opening(url, options) { channel, request -> channel.future { request.map(made::apply) } }
        } catch (refused: StreamkeepException) {
            CompletableFuture.failedFuture(refused)
        }

        private inline fun <R> opening(url: String, options: OpenOptions, begin: (Channel, Request<Calls>) -> R): R {
            val frame = RequestWriter(Operation.OPEN)
            val number = Channel.newNumber()
            // Before there is a share of the channel, because a text can be refused.
            with(frame) {
                long(number)
                text(url, "url")
                options.write(this)
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

private fun notAnEvent(given: Any?, wanted: String, operation: String?) = InvalidArgumentException(
    "events",
    if (given is RecordedEvent && wanted == "Event") {
        "a recorded event cannot be appended again: it has its place in the log. Make a new event of its content: Event(recorded.type, recorded.data, recorded.metadata, recorded.tags)"
    } else {
        "events has an element that is not an $wanted"
    },
    Circumstances(operation = operation),
)

/** The compiler refuses other elements, but a raw or unchecked list of Java's can have them. */
internal fun RequestWriter.events(events: List<Any?>) {
    int(events.size)
    for (event in events) (event as? Event ?: throw notAnEvent(event, "Event", operation)).write(this)
}

internal fun RequestWriter.imports(events: List<Any?>) {
    int(events.size)
    for (event in events) (event as? ImportEvent ?: throw notAnEvent(event, "ImportEvent", operation)).write(this)
}

internal fun RequestWriter.expected(expected: Expected) = when (expected) {
    Expected.Any -> byte(0)
    Expected.NoStream -> byte(1)
    Expected.StreamExists -> byte(2)
    is Expected.Exact -> byte(EXACT).also { long(expected.version) }
}

private const val EXACT = 3

internal fun RequestWriter.query(query: Query) {
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
