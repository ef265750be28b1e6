package dev.streamkeep

import org.junit.jupiter.api.Test
import java.io.File
import java.lang.ref.WeakReference
import java.net.URLClassLoader
import java.nio.file.Files
import java.nio.file.Path
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertTrue

/** Nothing of the library stays after the last close, and what hinders its loading is told. */
class RedeployTest {
    @Test
    fun `class loaders are collected and threads end after the last close`() {
        assertEquals("0 loaders alive, no thread more", run("dev.streamkeep.Redeploy", "-Xmx256m"))
    }

    @Test
    fun `a file that may not be executed is told with the property to set`() {
        val folder = Files.createTempDirectory("streamkeep-planted")
        try {
            // Where no file can be made, and with a file that the linker refuses as it refuses one that is noexec.
            val file = Files.createFile(folder.resolve("file"))
            assertContains(run("dev.streamkeep.Opens", "-Dstreamkeep.tmpdir=$file"), Regex("config .*cannot be unpacked to $file.* set -Dstreamkeep.tmpdir"))
            assertContains(run("dev.streamkeep.Opens", "-Dstreamkeep.library=$file"), Regex("config .*cannot be loaded.* set -Dstreamkeep.library"))
            assertEquals("open", run("dev.streamkeep.Opens", "-Dstreamkeep.tmpdir=$folder"))
            Files.delete(file)
            assertEquals(emptyList(), folder.toFile().list().orEmpty().toList(), "left in the folder")
        } finally {
            folder.toFile().deleteRecursively()
        }
    }

    @Test
    fun `an event needs no native library`() {
        assertEquals("7", run("dev.streamkeep.MakesEvents", "-Dstreamkeep.library=/nowhere"))
    }

    private fun run(main: String, vararg options: String): String {
        return ProcessBuilder(program(main, *options)).redirectErrorStream(true).start().inputStream.readAllBytes().decodeToString().trim()
    }
}

/** Opens and closes stores in ten class loaders, one after the other, and prints what stays. */
internal object Redeploy {
    @JvmStatic
    fun main(args: Array<String>) {
        val path = System.getProperty("java.class.path").split(File.pathSeparator).map { Path.of(it).toUri().toURL() }.toTypedArray()
        round(path)
        val before = threads()
        val loaders = List(TIMES) { round(path) }
        eventually("loaders: ${loaders.count { it.get() != null }}, threads: $before before, ${threads()} now") {
            System.gc()
            loaders.all { it.get() == null } && threads() <= before
        }
        println("0 loaders alive, no thread more")
    }

    private fun round(path: Array<java.net.URL>): WeakReference<ClassLoader> {
        val loader = URLClassLoader(path, ClassLoader.getPlatformClassLoader())
        val type = loader.loadClass("dev.streamkeep.BlockingEventStore")
        val folder = Files.createTempDirectory("streamkeep")
        for (url in listOf("memory:", "sqlite:$folder/test.db")) {
            val store = type.getMethod("open", String::class.java).invoke(null, url)
            type.getMethod("head").invoke(store)
            // A reader that is not read to its end, and a future with a callback, stay behind.
            val events = type.getMethod("read", String::class.java).invoke(store, "order-1") as Iterable<*>
            events.iterator().hasNext()
            type.getMethod("close").invoke(store)
        }
        folder.toFile().deleteRecursively()
        loader.close()
        return WeakReference(loader)
    }

    private fun threads() = File("/proc/self/task").list()?.size ?: Thread.activeCount()

    private const val TIMES = 10
}

internal object Opens {
    @JvmStatic
    fun main(args: Array<String>) = repeat(2) {
        try {
            BlockingEventStore.open("memory:").close()
            if (it == 1) println("open")
        } catch (refused: StreamkeepException) {
            if (it == 1) println("${refused.code} ${refused.message}; ${refused.hint}")
        }
    }
}

internal object MakesEvents {
    @JvmStatic
    fun main(args: Array<String>) {
        val ids = List(10_000) { Event.json("E", "{}").id }
        check(ids == ids.sorted() || ids.map { it.toString() } == ids.map { it.toString() }.sorted().distinct())
        println(ids.map { it.version() }.distinct().joinToString())
    }
}
