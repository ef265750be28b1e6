package dev.streamkeep

import com.sun.jna.Native
import dev.streamkeep.internal.ffi.NativeChannel
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.suspendCancellableCoroutine
import java.io.ByteArrayOutputStream
import java.lang.ref.Cleaner
import java.nio.ByteBuffer
import java.util.UUID
import java.util.concurrent.CancellationException
import java.util.concurrent.CompletableFuture
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicLong
import java.util.function.Supplier
import kotlin.concurrent.thread
import kotlin.coroutines.ContinuationInterceptor
import kotlin.coroutines.EmptyCoroutineContext
import kotlin.coroutines.resume

/**
 * The channel: requests across, answers back, in frames of many.
 *
 * A call to the other half has its price however little it carries. So requests queue, and whoever finds nobody crossing takes all that wait across; one
 * daemon thread takes the answers and hands them on. That thread never runs code of a user: a coroutine goes on in its dispatcher, a future is completed by another thread.
 * Its twin is `channel.rs`.
 */
internal class Channel private constructor(private val native: NativeChannel) {
    private val number = native.number()
    private val waiting = ConcurrentLinkedQueue<ByteArray>()
    private val crossing = AtomicBoolean()
    private val pending = ConcurrentHashMap<Long, (Reply) -> Unit>()
    private val numbers = AtomicLong()
    private val cleaner = Cleaner.create()
    private val ids = Ids(native)

    @Volatile
    private var lost = false

    /** Calls whose answers are awaited, here and on the other side; for tests. */
    val callsUnderWay: Pair<Int, Int> get() = pending.size to native.calls()

    /** Stores and readers that the other side holds; for tests. */
    val nativeHandles: Int get() = native.handles()

    fun newNumber(): Long = numbers.incrementAndGet()

    fun newId(): UUID = ids.next()

    /** Runs an action, which must not hold [owner], once nobody holds [owner]. */
    fun onCollected(owner: Any, action: () -> Unit): Cleaner.Cleanable = cleaner.register(owner, action)

    /** Asks and suspends until the answer is there. Cancelling the coroutine withdraws the call: what was not sent yet never is. */
    suspend fun <T> call(request: Request<T>): T {
        val reply = suspendCancellableCoroutine { continuation ->
            val call = begin(request) { resume(continuation, it, request.abandoned) }
            continuation.invokeOnCancellation {
                withdraw(call)
                request.abandoned()
            }
        }
        return request.answer(reply)
    }

    /** Asks and blocks the thread, not a native frame of it: a virtual thread gives up its carrier. Interrupting it withdraws the call. */
    fun <T> block(request: Request<T>): T {
        val reply = CompletableFuture<Reply>()
        val call = begin(request, reply::complete)
        try {
            return request.answer(reply.get())
        } catch (interrupted: InterruptedException) {
            withdraw(call)
            request.abandoned()
            Thread.currentThread().interrupt()
            throw CancellationException("interrupted while waiting for the store").apply { initCause(interrupted) }
        }
    }

    /** Asks and blocks the thread whatever interrupts it: for what must be done before the thread goes. */
    fun <T> blockThrough(request: Request<T>): T {
        val reply = CompletableFuture<Reply>()
        begin(request, reply::complete)
        var interrupted = false
        try {
            while (true) {
                try {
                    return request.answer(reply.get())
                } catch (_: InterruptedException) {
                    interrupted = true
                }
            }
        } finally {
            if (interrupted) Thread.currentThread().interrupt()
        }
    }

    /** Asks, and completes a future with the answer, or with what is wrong with the request. Cancelling the future withdraws the call. */
    fun <T> future(make: Supplier<Request<T>>): CompletableFuture<T> {
        val request = try {
            make.get()
        } catch (refused: StreamkeepException) {
            return CompletableFuture.failedFuture(refused)
        }
        val future = CompletableFuture<T>()
        val call = begin(request) { reply -> future.defaultExecutor().execute { complete(future, request, reply) } }
        future.whenComplete { _, _ -> if (withdraw(call)) request.abandoned() }
        return future
    }

    /** Sends a request that has no answer. */
    fun tell(frame: RequestWriter) {
        send(frame.toBytes(NO_ANSWER))
    }

    private fun <T> begin(request: Request<T>, answered: (Reply) -> Unit): Long {
        val call = newNumber()
        val bytes = request.frame.toBytes(call)
        pending[call] = answered
        send(bytes)
        if (lost) lose()
        return call
    }

    /** Says whether the call was still awaited. */
    private fun withdraw(call: Long): Boolean {
        val awaited = pending.remove(call) != null
        if (awaited) send(RequestWriter(CANCEL).toBytes(call))
        return awaited
    }

    private fun send(bytes: ByteArray) {
        waiting.add(bytes)
        // Whoever adds while another crosses is either seen by that one or, when it has just looked for the last time, finds nobody crossing.
        while (waiting.isNotEmpty() && crossing.compareAndSet(false, true)) {
            try {
                takeAcross()
            } finally {
                crossing.set(false)
            }
        }
    }

    private fun takeAcross() {
        val first = waiting.poll() ?: return
        if (waiting.isEmpty()) return submit(first)
        val frame = ByteArrayOutputStream(first.size * 2)
        frame.writeBytes(first)
        while (frame.size() < FRAME_BYTES) frame.writeBytes(waiting.poll() ?: break)
        submit(frame.toByteArray())
    }

    private fun submit(frame: ByteArray) {
        if (Crossing.streamkeep_submit(number, frame, frame.size) < 0) lose()
    }

    private fun drain() {
        var buffer = ByteBuffer.allocateDirect(DRAIN_BYTES)
        while (true) {
            val size = Crossing.streamkeep_drain(number, buffer, buffer.capacity(), DRAIN_MS)
            when {
                size == LOST -> return
                size < 0 -> buffer = ByteBuffer.allocateDirect(-size)
                else -> handOn(FrameReader(ByteArray(size).also { buffer.get(0, it) }))
            }
        }
    }

    private fun handOn(frame: FrameReader) {
        while (frame.hasMore) {
            val call = frame.long()
            val failed = frame.flag()
            val body = frame.part()
            pending.remove(call)?.invoke(Reply(failed, body))
        }
    }

    /** The other half broke: whoever waits, and whoever comes, is told so instead of waiting for ever. */
    private fun lose() {
        lost = true
        for (call in pending.keys) pending.remove(call)?.invoke(Reply(failed = true, frame = null))
    }

    internal companion object {
        /** The one channel of this class loader. */
        val shared: Channel by lazy(::start)

        /** The version of this half, which the other must have too. */
        const val VERSION = "0.1.0"
        private const val CANCEL = 1
        private const val NO_ANSWER = 0L
        private const val DRAIN_MS = 60_000
        private const val DRAIN_BYTES = 1024 * 1024
        private const val LOST = Int.MIN_VALUE
        private const val FRAME_BYTES = 8 * 1024 * 1024

        private fun start(): Channel {
            val native = NativeChannel()
            val version = native.version()
            if (version != VERSION) throw ConfigException("this is streamkeep $VERSION with a native library of $version: they must be the same", Circumstances())
            val channel = Channel(native)
            thread(isDaemon = true, name = "streamkeep-answers") {
                // However this thread ends, nobody waits for ever.
                try {
                    channel.drain()
                } finally {
                    channel.lose()
                }
            }
            return channel
        }
    }
}

/** The two C functions of the other half, bound without what JNA otherwise does for each call. */
@Suppress("FunctionName")
internal object Crossing {
    init {
        Native.register(Crossing::class.java, System.getProperty("uniffi.component.streamkeep_kotlin.libraryOverride") ?: "streamkeep_kotlin")
    }

    @JvmStatic
    external fun streamkeep_submit(channel: Long, frame: ByteArray, length: Int): Int

    @JvmStatic
    external fun streamkeep_drain(channel: Long, buffer: ByteBuffer, capacity: Int, timeoutMs: Int): Int
}

/** Goes on in the coroutine's dispatcher. One that may run in place, or none, is entered from a thread where that harms nobody. */
private fun resume(continuation: CancellableContinuation<Reply>, reply: Reply, abandoned: () -> Unit) {
    val goOn = Runnable { continuation.resume(reply) { _, _, _ -> abandoned() } }
    val dispatcher = continuation.context[ContinuationInterceptor]
    if (dispatcher === Dispatchers.Default || dispatcher === Dispatchers.IO) goOn.run() else Dispatchers.Default.dispatch(EmptyCoroutineContext, goOn)
}

private fun <T> complete(future: CompletableFuture<T>, request: Request<T>, reply: Reply) {
    val answer = runCatching { request.answer(reply) }
    val taken = answer.fold(future::complete, future::completeExceptionally)
    if (!taken) request.abandoned()
}

/** Event ids, made in core like everywhere, a few at a time: a crossing costs more than an id. They carry the time, so what is not used at once is thrown away. */
private class Ids(private val native: NativeChannel) {
    private var stock = ByteBuffer.allocate(0)
    private var madeAt = 0L

    @Synchronized
    fun next(): UUID {
        val now = System.nanoTime()
        if (!stock.hasRemaining() || now - madeAt > FRESH_NANOS) {
            stock = ByteBuffer.wrap(native.newIds(STOCK))
            madeAt = now
        }
        return UUID(stock.getLong(), stock.getLong())
    }

    private companion object {
        const val STOCK = 128
        const val FRESH_NANOS = 5_000_000L
    }
}
