package dev.streamkeep

import java.util.concurrent.TimeUnit
import java.util.concurrent.locks.ReentrantLock
import kotlin.concurrent.withLock

/** What to do with the answer of a call. [mayCall] says whether that can run a caller's code in place. */
internal class Handover(val mayCall: Boolean, val run: (Reply) -> Unit)

/**
 * Gives the answers to their calls, in order, on one thread at a time.
 *
 * An answer completes a future or continues a coroutine. That can run a caller's code in place: a callback that has no
 * executor, a coroutine that has no dispatcher. What such code throws concerns no other answer. If it does not return
 * soon, or waits for the store, it keeps its thread, and a new thread goes on with the answers after it.
 *
 * @param take waits for answers; `null` if there will be none any more
 * @param find the handover of a call; `null` if nobody waits for it
 * @param ended called when there will be no more answers
 */
internal class Answers(private val take: () -> FrameReader?, private val find: (Long) -> Handover?, private val ended: () -> Unit) {
    private val lock = ReentrantLock()
    private val toWatch = lock.newCondition()

    /** The thread that gives the answers. A thread that it is not any more ends when it returns from its caller's code. */
    @Volatile
    private var giver: Thread? = null
    private var watch: Thread? = null
    private var watchSleeps = false
    private var taken = FrameReader(ByteArray(0))

    /** The handover that runs and may be in a caller's code, by its number; 0 if none does. */
    private var calling = 0L
    private var handovers = 0L
    private var isOver = false

    fun start(): Unit = lock.withLock(::goOn)

    /** To be called before a thread waits for an answer. If it is the thread that gives them, another one goes on. */
    fun beforeWaiting() {
        if (Thread.currentThread() === giver) lock.withLock { if (Thread.currentThread() === giver) goOn() }
    }

    /** Leaves the present thread to what it does, and goes on with another one. */
    private fun goOn() {
        // If no thread can be started, the present one remains.
        giver = startThread("streamkeep-answers", work = ::giveAll)
        calling = 0
    }

    private fun giveAll() {
        try {
            while (true) next()?.invoke() ?: return
        } finally {
            if (Thread.currentThread() === giver) end()
        }
    }

    /** Waits for the next answer. Returns `null` if this thread does not give answers any more. */
    private fun next(): (() -> Unit)? {
        while (true) {
            lock.withLock {
                if (Thread.currentThread() !== giver) return null
                calling = 0
                while (taken.hasMore) {
                    val call = taken.long()
                    val reply = Reply(taken.flag(), taken.part())
                    val handover = find(call) ?: continue
                    if (handover.mayCall) beWatched()
                    return { giveHere(handover, reply) }
                }
            }
            // Only the giver comes here, and it is replaced only while it runs a handover.
            val answers = take() ?: return null
            lock.withLock { taken = answers }
        }
    }

    private fun giveHere(handover: Handover, reply: Reply) {
        give(handover, reply)
        // This thread is the library's, so an interrupt was meant for the code that has run.
        if (handover.mayCall) Thread.interrupted()
    }

    private fun beWatched() {
        calling = ++handovers
        if (watch == null) watch = startThread("streamkeep-watch", work = ::watch)
        if (watchSleeps) {
            watchSleeps = false
            toWatch.signal()
        }
    }

    /** Looks whether a handover takes long. It sleeps while there is none, and so costs a busy store 50 looks a second. */
    private fun watch() = lock.withLock {
        while (!isOver) {
            val seen = calling
            if (seen == 0L) {
                watchSleeps = true
                toWatch.awaitUninterruptibly()
            } else {
                toWatch.await(PATIENCE_MS, TimeUnit.MILLISECONDS)
                // If no thread can be started now, it is tried again.
                if (calling == seen && !isOver) runCatching(::goOn)
            }
        }
    }

    private fun end() {
        lock.withLock {
            isOver = true
            toWatch.signal()
        }
        ended()
    }

    companion object {
        private const val PATIENCE_MS = 20L

        /** Gives an answer. What a caller's code throws is shown like an exception that nobody catches. */
        fun give(handover: Handover, reply: Reply) {
            try {
                handover.run(reply)
            } catch (thrown: Throwable) {
                val thread = Thread.currentThread()
                runCatching { thread.uncaughtExceptionHandler.uncaughtException(thread, thrown) }
            }
        }

        /** Starts a daemon thread that has nothing of the thread that starts it: no class loader and no thread locals. */
        fun startThread(name: String, context: ClassLoader? = Answers::class.java.classLoader, work: () -> Unit): Thread = Thread(null, work, name, 0, false).apply {
            isDaemon = true
            contextClassLoader = context
            start()
        }
    }
}
