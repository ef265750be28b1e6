package dev.streamkeep

import org.slf4j.LoggerFactory
import org.slf4j.helpers.NOPLoggerFactory
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.atomic.AtomicInteger
import java.util.concurrent.locks.LockSupport

/**
 * Gives core's log lines to the application's logger `dev.streamkeep`: that of SLF4J if the application has SLF4J and
 * what it writes with, else the [System.Logger].
 *
 * One thread at a time writes them, in their order. If the logger blocks it, the lines that arrive meanwhile wait, and
 * no answer does. Only the last close waits for them, for a second at most, so that an application that ends or drops its
 * class loader then has them.
 */
internal object HostLog {
    private const val NAME = "dev.streamkeep"
    private val lines = ConcurrentLinkedQueue<Pair<Int, String>>()
    private val unwritten = AtomicInteger()

    @Volatile
    private var writer: Thread? = null

    private val write: (Int, String) -> Unit by lazy {
        try {
            slf4j()
        } catch (_: LinkageError) {
            null
        } ?: system()
    }

    /** What is done with the answer that is a log line. */
    val handover = Handover(mayCall = true) { line -> take(line.frame.byte(), line.frame.text()) }

    private fun take(level: Int, text: String) {
        lines.add(level to text)
        if (unwritten.getAndIncrement() > 0) return
        writer = Thread.currentThread()
        do {
            // A logger that throws must not hold up the lines after this one.
            lines.poll()?.let { (level, text) -> runCatching { write(level, text) } }
        } while (unwritten.decrementAndGet() > 0)
    }

    /** Waits until the lines that have arrived are written. A logger that closes the last store does not wait for itself. */
    fun await() {
        val deadline = System.nanoTime() + PATIENCE_NANOS
        while (unwritten.get() > 0 && writer !== Thread.currentThread() && System.nanoTime() < deadline) LockSupport.parkNanos(PAUSE_NANOS)
    }

    private fun slf4j(): ((Int, String) -> Unit)? {
        if (LoggerFactory.getILoggerFactory() is NOPLoggerFactory) return null
        val logger = LoggerFactory.getLogger(NAME)
        return { level, text ->
            when (level) {
                ERROR -> logger.error(text)
                WARN -> logger.warn(text)
                INFO -> logger.info(text)
                else -> logger.debug(text)
            }
        }
    }

    private fun system(): (Int, String) -> Unit {
        val logger = System.getLogger(NAME)
        val levels = listOf(System.Logger.Level.ERROR, System.Logger.Level.WARNING, System.Logger.Level.INFO)
        return { level, text -> logger.log(levels.getOrElse(level) { System.Logger.Level.DEBUG }, text) }
    }

    private const val PATIENCE_NANOS = 1_000_000_000L
    private const val PAUSE_NANOS = 1_000_000L

    private const val ERROR = 0
    private const val WARN = 1
    private const val INFO = 2
}
