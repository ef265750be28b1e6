package dev.streamkeep

import dev.streamkeep.internal.ffi.StartException
import dev.streamkeep.internal.ffi.begin
import dev.streamkeep.internal.ffi.counts
import dev.streamkeep.internal.ffi.end
import dev.streamkeep.internal.ffi.version
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.suspendCancellableCoroutine
import java.io.ByteArrayOutputStream
import java.lang.ref.Cleaner
import java.util.concurrent.CancellationException
import java.util.concurrent.CompletableFuture
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicLong
import java.util.function.Supplier
import kotlin.coroutines.ContinuationInterceptor

/**
 * The channel to the native library: it sends requests and receives answers, in frames of many.
 *
 * A native call costs the same however little it carries. So requests are queued, and a thread that finds no other
 * thread submitting submits all of them. One daemon thread takes the answers and gives them to their calls ([Answers]).
 * The native side is `channel.rs`.
 *
 * All stores of a class loader share one channel. It ends, with its threads and those of the native library, when no
 * store is open and no call waits. The next store begins a new one.
 */
internal class Channel private constructor(private val number: Long) {
    private val waiting = ConcurrentLinkedQueue<ByteArray>()
    private val crossing = AtomicBoolean()
    private val pending = ConcurrentHashMap<Long, Handover>()
    private val answers = Answers(::take, { if (it == LINE) HostLog.handover else find(it) }, ::lose)
    private val cleaner = Cleaner.create()

    /** The stores that are open or being opened. */
    @Volatile
    private var shares = 0

    /** Why there will be no answers any more; `null` while there will. */
    @Volatile
    private var over: Reply? = null

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
        if (over == null) send(frame.toBytes(NO_ANSWER))
    }

    /** Sends a request for whose answer nobody waits. */
    fun ask(request: Request<*>) {
        begin(request, mayCall = false) {}
    }

    private fun <T> begin(request: Request<T>, mayCall: Boolean, answered: (Reply) -> Unit): Long {
        val call = newNumber()
        val bytes = request.frame.toBytes(call)
        pending[call] = Handover(mayCall) { reply ->
            request.settled(reply.failed)
            answered(reply)
        }
        if (over == null) send(bytes)
        over?.let { reply -> find(call)?.let { Answers.give(it, reply) } }
        return call
    }

    private fun find(call: Long): Handover? = pending.remove(call).also { if (shares == 0) endIfIdle() }

    /** Returns whether the call still waited for its answer. */
    private fun withdraw(call: Long): Boolean {
        val awaited = find(call) != null
        if (awaited && over == null) send(RequestWriter(CANCEL).toBytes(call))
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
        if (!Crossing.submit(number, frame)) lose()
    }

    private fun take(): FrameReader? = Crossing.take(number)?.let { FrameReader(it) }

    /** There will be no answers any more. All waiting and all later calls fail instead of waiting for ever. */
    private fun lose() {
        synchronized(lock) {
            if (over == null) over = Reply.LOST
            if (current === this) current = null
        }
        for (call in pending.keys) pending.remove(call)?.let { Answers.give(it, Reply.LOST) }
    }

    private fun endIfIdle() {
        synchronized(lock) {
            if (shares > 0 || pending.isNotEmpty() || over != null) return
            over = Reply.CLOSED
            current = null
        }
        ended(number)
    }

    /** A store's share of the channel, from before it is opened until it is closed. */
    inner class Share {
        private val held = AtomicBoolean(true)
        val isHeld: Boolean get() = held.get()
        val channel: Channel get() = this@Channel

        fun release() {
            if (!held.getAndSet(false)) return
            synchronized(lock) { shares-- }
            endIfIdle()
        }
    }

    internal companion object {
        /** The version of this library, which the native library must have too. */
        const val VERSION = "0.1.0"
        private const val CANCEL = 1
        private const val NO_ANSWER = 0L

        /** The id that log lines have instead of a call's. */
        private const val LINE = -1L
        private const val FRAME_BYTES = 8 * 1024 * 1024

        private val lock = Any()
        private val numbers = AtomicLong()

        /** The channel of this class loader. */
        private var current: Channel? = null

        /** A number for a call, a store or a reader. */
        fun newNumber(): Long = numbers.incrementAndGet()

        /** The calls that wait for an answer, here and in the native library; for tests. */
        val callsUnderWay: Pair<Int, Int> get() = synchronized(lock) { current }?.let { it.pending.size to Jna.call { counts(it.number) }.calls } ?: (0 to 0)

        /** The stores and readers of the native library; for tests. */
        val nativeHandles: Int get() = synchronized(lock) { current }?.let { Jna.call { counts(it.number) }.handles } ?: 0

        /** @throws ConfigException if the native library cannot be used */
        fun share(): Share = synchronized(lock) {
            val channel = current ?: start().also { current = it }
            channel.shares++
            channel.Share()
        }

        private fun start(): Channel {
            Jna.inOwnThread(::load)
            return try {
                Channel(begun()).apply { answers.start() }
            } catch (failed: Throwable) {
                Jna.inOwnThread(Jna::release)
                throw failed
            }
        }

        private fun begun(): Long {
            val native = Jna.call(::version)
            if (native != VERSION) throw ConfigException("streamkeep $VERSION was loaded with the native library $native: both must have the same version", Circumstances())
            return try {
                Jna.call(::begin)
            } catch (failed: StartException.Threads) {
                throw UnavailableException("the threads of the native library cannot be started: ${failed.reason}", Circumstances(retryable = true))
            } catch (failed: StartException.Setting) {
                throw ConfigException(failed.reason, Circumstances())
            }
        }

        private fun ended(number: Long) {
            HostLog.await()
            Jna.call { end(number) }
            synchronized(lock) { if (current == null) Jna.inOwnThread(Jna::release) }
        }

        /** A later attempt after a failure fails in the same way. */
        private fun load() = try {
            Crossing.ensureLoaded()
        } catch (failed: ExceptionInInitializerError) {
            throw (failed.cause as? ConfigException)?.also { whyNotLoaded = it } ?: failed
        } catch (failed: NoClassDefFoundError) {
            throw whyNotLoaded ?: failed
        }

        private var whyNotLoaded: ConfigException? = null
    }
}

private fun <T> complete(future: CompletableFuture<T>, request: Request<T>, reply: Reply) {
    val answer = runCatching { request.answer(reply) }
    val taken = answer.fold(future::complete, future::completeExceptionally)
    if (!taken) request.abandoned()
}
