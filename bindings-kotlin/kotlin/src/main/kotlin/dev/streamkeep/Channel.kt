package dev.streamkeep

import com.sun.jna.Native
import dev.streamkeep.internal.ffi.NativeChannel
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
import kotlin.coroutines.ContinuationInterceptor
import kotlin.coroutines.resume

/**
 * The channel to the native library: it sends requests and receives answers, in frames of many.
 *
 * A native call costs the same however little it carries. So requests are queued, and a thread that finds no other
 * thread submitting submits all of them. One daemon thread takes the answers and gives them to their calls ([Answers]). The
 * native side is `channel.rs`.
 */
internal class Channel private constructor(private val native: NativeChannel) {
    private val number = native.number()
    private val waiting = ConcurrentLinkedQueue<ByteArray>()
    private val crossing = AtomicBoolean()
    private val pending = ConcurrentHashMap<Long, Handover>()
    private val answers = Answers(::take, pending::remove, ::lose)
    private var buffer = ByteBuffer.allocateDirect(DRAIN_BYTES)
    private val numbers = AtomicLong()
    private val cleaner = Cleaner.create()
    private val ids = Ids(native)

    @Volatile
    private var lost = false

    /** The calls that wait for an answer, here and in the native library; for tests. */
    val callsUnderWay: Pair<Int, Int> get() = pending.size to native.calls()

    /** The stores and readers of the native library; for tests. */
    val nativeHandles: Int get() = native.handles()

    fun newNumber(): Long = numbers.incrementAndGet()

    fun newId(): UUID = ids.next()

    /** Runs an action when [owner] is collected. The action must not refer to [owner]. */
    fun onCollected(owner: Any, action: () -> Unit): Cleaner.Cleanable = cleaner.register(owner, action)

    /** Sends a request and suspends until its answer arrives. Cancelling the coroutine withdraws the call. */
    suspend fun <T> call(request: Request<T>): T {
        val reply = suspendCancellableCoroutine { continuation ->
            // These two dispatchers run the coroutine on their own threads; others may run it in place.
            val dispatcher = continuation.context[ContinuationInterceptor]
            val inPlace = dispatcher !== Dispatchers.Default && dispatcher !== Dispatchers.IO
            val call = begin(request, inPlace) { continuation.resume(it) { _, _, _ -> request.abandoned() } }
            continuation.invokeOnCancellation {
                withdraw(call)
                request.abandoned()
            }
        }
        return request.answer(reply)
    }

    /**
     * Sends a request and blocks the thread outside native code, so that a virtual thread releases its carrier.
     * Interrupting it withdraws the call.
     */
    fun <T> block(request: Request<T>): T {
        answers.beforeWaiting()
        val reply = CompletableFuture<Reply>()
        val call = begin(request, mayCall = false, reply::complete)
        try {
            return request.answer(reply.get())
        } catch (interrupted: InterruptedException) {
            withdraw(call)
            request.abandoned()
            Thread.currentThread().interrupt()
            throw CancellationException("interrupted while waiting for the store").apply { initCause(interrupted) }
        }
    }

    /**
     * Sends a request and blocks the thread even if it is interrupted, for work that must be done before the thread
     * continues.
     */
    fun <T> blockThrough(request: Request<T>): T {
        answers.beforeWaiting()
        val reply = CompletableFuture<Reply>()
        begin(request, mayCall = false, reply::complete)
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

    /**
     * Sends a request, and completes a future with the answer or with the request's error. Cancelling the future
     * withdraws the call.
     */
    fun <T> future(make: Supplier<Request<T>>): CompletableFuture<T> {
        val request = try {
            make.get()
        } catch (refused: StreamkeepException) {
            return CompletableFuture.failedFuture(refused)
        }
        val future = CompletableFuture<T>()
        val call = begin(request, mayCall = true) { complete(future, request, it) }
        future.whenComplete { _, _ -> if (withdraw(call)) request.abandoned() }
        return future
    }

    /** Sends a request that has no answer. */
    fun tell(frame: RequestWriter) {
        send(frame.toBytes(NO_ANSWER))
    }

    private fun <T> begin(request: Request<T>, mayCall: Boolean, answered: (Reply) -> Unit): Long {
        val call = newNumber()
        val bytes = request.frame.toBytes(call)
        pending[call] = Handover(mayCall, answered)
        send(bytes)
        if (lost) lose()
        return call
    }

    /** Returns whether the call still waited for its answer. */
    private fun withdraw(call: Long): Boolean {
        val awaited = pending.remove(call) != null
        if (awaited) send(RequestWriter(CANCEL).toBytes(call))
        return awaited
    }

    private fun send(bytes: ByteArray) {
        waiting.add(bytes)
        // A request that is added while another thread submits is either seen by that thread, or its own thread finds
        // no thread submitting.
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

    private fun take(): FrameReader? {
        while (true) {
            val size = Crossing.streamkeep_drain(number, buffer, buffer.capacity(), DRAIN_MS)
            when {
                size == LOST -> return null
                size < 0 -> buffer = ByteBuffer.allocateDirect(-size)
                size > 0 -> return FrameReader(ByteArray(size).also { buffer.get(0, it) })
            }
        }
    }

    /** The native library failed. All waiting and all later calls fail instead of waiting for ever. */
    private fun lose() {
        lost = true
        for (call in pending.keys) pending.remove(call)?.let { Answers.give(it, Reply(failed = true, frame = null)) }
    }

    internal companion object {
        /** The channel of this class loader. */
        val shared: Channel by lazy(::start)

        /** The version of this library, which the native library must have too. */
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
            if (version != VERSION) throw ConfigException("streamkeep $VERSION was loaded with the native library $version: both must have the same version", Circumstances())
            return Channel(native).apply { answers.start() }
        }
    }
}

/** The two C functions of the native library, bound directly, without JNA's work for each call. */
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

private fun <T> complete(future: CompletableFuture<T>, request: Request<T>, reply: Reply) {
    val answer = runCatching { request.answer(reply) }
    val taken = answer.fold(future::complete, future::completeExceptionally)
    if (!taken) request.abandoned()
}

/**
 * Event ids, made by core a few at a time, because a native call costs more than an id. They contain the time, so ids
 * that are not used soon are dropped.
 */
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
