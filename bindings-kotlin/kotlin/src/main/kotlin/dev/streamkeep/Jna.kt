package dev.streamkeep

import com.sun.jna.Native
import com.sun.jna.NativeLibrary
import com.sun.jna.internal.Cleaner
import dev.streamkeep.internal.ffi.IntegrityCheckingUniffiLib
import dev.streamkeep.internal.ffi.UniffiLib
import java.util.concurrent.CompletableFuture
import java.util.concurrent.ExecutionException

/**
 * The calls by JNA, which UniFFI generates, and what they leave behind.
 *
 * Three things would keep the class loader after the last close: a value that JNA has for each thread that called it, so
 * each call has a thread of its own; the native functions that it has registered; and a thread that frees its memory,
 * which does not end by itself while a library is in use.
 */
internal object Jna {
    private val own: ClassLoader? = Jna::class.java.classLoader

    /** The library, from when it is loaded until the class loader is gone. */
    private var library: NativeLibrary? = null
    private var isRegistered = false

    /** Loads the library from a file for the functions that UniFFI generates. */
    @Synchronized
    fun load(work: () -> Unit) {
        work()
        library = Native.getNativeLibrary(UniffiLib::class.java)
        isRegistered = true
        // It has compared the generated code with the library, and is not needed any more.
        Native.unregister(IntegrityCheckingUniffiLib::class.java)
    }

    /** Runs a call of the library. */
    fun <T> call(work: () -> T): T = inOwnThread {
        synchronized(this) {
            if (!isRegistered) Native.register(UniffiLib::class.java, library)
            isRegistered = true
            work()
        }
    }

    /** Gives up everything of JNA that keeps the class loader. The next call takes it again. */
    @Synchronized
    fun release() {
        Native.unregister(UniffiLib::class.java)
        isRegistered = false
        endThread()
    }

    /** Runs work in a thread of its own and waits for it, even if this thread is interrupted. */
    fun <T> inOwnThread(work: () -> T): T {
        val result = CompletableFuture<T>()
        // JNA and the JDK start threads here that stay longer, and they keep the class loader of their starter's context.
        Answers.startThread("streamkeep-control", ClassLoader.getPlatformClassLoader()) {
            try {
                result.complete(work())
            } catch (failed: Throwable) {
                result.completeExceptionally(failed)
            }
        }.joinThrough()
        try {
            return result.get()
        } catch (failed: ExecutionException) {
            throw (failed.cause ?: failed).withCallersStack()
        }
    }

    /** The caller of [inOwnThread] is in the stack too, once, even if the same error is thrown again. */
    private fun Throwable.withCallersStack() = apply {
        if (stackTrace.none { it.methodName == "inOwnThread" }) stackTrace += Throwable().stackTrace
    }

    /** Waits for the end of the thread, so that it keeps nothing when the call is over. */
    private fun Thread.joinThrough() {
        var interrupted = false
        while (true) {
            try {
                join()
                break
            } catch (_: InterruptedException) {
                interrupted = true
            }
        }
        if (interrupted) Thread.currentThread().interrupt()
    }

    /**
     * Ends the thread if this JNA has the same class loader as this library, so that nobody outside that class loader
     * uses it. JNA does not notice that it has ended: it starts a new one only if it knows of none, so it must forget
     * this one. Under the lock under which it starts one, the next use of it starts a new one, which also frees what is
     * left.
     */
    private fun endThread() {
        if (Cleaner::class.java.classLoader !== own) return
        val cleaner = Cleaner.getCleaner()
        val ended = try {
            val running = Cleaner::class.java.getDeclaredField("cleanerThread").apply { isAccessible = true }
            val queue = Cleaner::class.java.getDeclaredField("referenceQueue").apply { isAccessible = true }
            synchronized(queue.get(cleaner)) { (running.get(cleaner) as? Thread).also { running.set(cleaner, null) } }
        } catch (_: ReflectiveOperationException) {
            // Another version of JNA: its thread remains.
            null
        } catch (_: RuntimeException) {
            // JNA is a module that lets nobody in: its thread remains.
            null
        }
        ended?.interrupt()
    }
}
