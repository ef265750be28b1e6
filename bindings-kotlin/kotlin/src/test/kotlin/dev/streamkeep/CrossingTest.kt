package dev.streamkeep

import com.sun.jna.Memory
import dev.streamkeep.internal.ffi.begin
import dev.streamkeep.internal.ffi.counts
import dev.streamkeep.internal.ffi.end
import dev.streamkeep.internal.ffi.version
import org.junit.jupiter.api.Test
import java.io.File
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue

/** The calls by UniFFI and those by JNI reach the same library. */
class CrossingTest {
    private fun opening(store: Long) = RequestWriter(Operation.OPEN).apply {
        long(store)
        text("memory:", "url")
        OpenOptions.defaults().write(this)
    }

    @Test
    fun `a channel begun by UniFFI takes frames by JNI`() {
        BlockingEventStore.open("memory:").use { throughBoth() }
    }

    private fun throughBoth() {
        assertEquals(Channel.VERSION, version())
        val number = begin()
        assertEquals(0 to 0, counts(number).let { it.calls to it.handles })
        assertTrue(Crossing.submit(number, opening(store = 7).toBytes(1)))
        val answer = FrameReader(assertNotNull(Crossing.take(number)))
        assertEquals(1, answer.long())
        assertFalse(answer.flag(), "opening failed")
        assertEquals(0 to 1, counts(number).let { it.calls to it.handles })
        end(number)
        assertEquals(0 to 0, counts(number).let { it.calls to it.handles })
        assertNull(Crossing.take(number))
        assertFalse(Crossing.submit(number, opening(store = 8).toBytes(2)))
    }

    @Test
    fun `a process has one copy of the library`() {
        BlockingEventStore.open("memory:").use { it.head() }
        val mapped = File("/proc/self/maps").takeIf { it.exists() }?.readLines() ?: return
        // The device and the number of the file.
        val files = mapped.filter { "libstreamkeep_kotlin" in it }.map { it.split(Regex(" +")).subList(3, 5) }.toSet()
        assertEquals(1, files.size, "$files")
    }

    @Test
    fun `JNA frees memory again after its thread was ended`() {
        repeat(3) {
            BlockingEventStore.open("memory:").close()
            Jna.inOwnThread(Jna::release)
            eventually("the thread of JNA stays") { Thread.getAllStackTraces().keys.none { it.name == "JNA Cleaner" } }
            val freed = java.util.concurrent.atomic.AtomicBoolean()
            com.sun.jna.internal.Cleaner.getCleaner().register(Memory(1)) { freed.set(true) }
            eventually("JNA frees nothing") {
                System.gc()
                freed.get()
            }
        }
    }

    @Test
    fun `without NativeLibrary the generated code finds no library`() {
        assertContains(run("dev.streamkeep.CallsVersion"), "UnsatisfiedLinkError")
    }

    @Test
    fun `a wrong number of threads is told by the first open`() {
        val told = run("dev.streamkeep.OpensAndTells", "STREAMKEEP_THREADS" to "many")
        assertEquals("config: STREAMKEEP_THREADS must be a number of threads from 1 to 1024", told.trim())
        assertEquals("opened", run("dev.streamkeep.OpensAndTells", "STREAMKEEP_THREADS" to "1").trim())
    }

    private fun run(main: String, vararg environment: Pair<String, String>): String {
        val process = ProcessBuilder(program(main)).redirectErrorStream(true).apply { environment().putAll(environment) }
        return process.start().inputStream.readAllBytes().decodeToString()
    }
}

internal object CallsVersion {
    @JvmStatic
    fun main(args: Array<String>): Unit = println(version())
}

internal object OpensAndTells {
    @JvmStatic
    fun main(args: Array<String>): Unit = try {
        BlockingEventStore.open("memory:").close()
        println("opened")
    } catch (refused: StreamkeepException) {
        println("${refused.code}: ${refused.message}")
    }
}
