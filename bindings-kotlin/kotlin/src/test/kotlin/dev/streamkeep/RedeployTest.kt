package dev.streamkeep

import org.junit.jupiter.api.Test
import java.io.File
import java.lang.ref.WeakReference
import java.net.URLClassLoader
import java.nio.file.Files
import java.nio.file.Path
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.time.Duration.Companion.seconds

/** Nothing of the library stays after the last close, and what hinders its loading is told. */
class RedeployTest {
    @Test
    fun `class loaders are collected and threads end after the last close`() {
        val (logged, said) = run("dev.streamkeep.Redeploy", "-Xmx256m").lines().partition { " WARN dev.streamkeep - " in it }
        assertEquals(listOf("0 loaders alive, no thread more"), said)
        assertEquals(Redeploy.TIMES + 1, logged.size, "each class loader has a line")
    }

    @Test
    fun `a thread of JNA that others use remains`() {
        assertEquals("threads of JNA: 1", run("dev.streamkeep.SharedJna").lines().last())
    }

    @Test
    fun `a file that may not be executed is told with the property to set`() {
        val folder = Files.createTempDirectory("streamkeep-planted")
        try {
            // Where no file can be made, and with a file that the linker refuses as it refuses one that is noexec.
            val file = Files.createFile(folder.resolve("file"))
            assertContains(run("dev.streamkeep.Opens", "-Dstreamkeep.tmpdir=$file"), Regex("config .*cannot be unpacked to $file.* set -Dstreamkeep.tmpdir"))
            assertContains(run("dev.streamkeep.Opens", "-Djna.tmpdir=$file"), Regex("config .*JNA cannot load.* set -Dstreamkeep.tmpdir"))
            assertContains(run("dev.streamkeep.Opens", "-Dstreamkeep.library=$file"), Regex("config .*cannot be loaded.* set -Dstreamkeep.library"))
            assertEquals("open", run("dev.streamkeep.Opens", "-Dstreamkeep.tmpdir=$folder"))
            Files.delete(file)
            assertEquals(emptyList(), folder.toFile().list().orEmpty().toList(), "left in the folder")
        } finally {
            folder.toFile().deleteRecursively()
        }
    }

    @Test
    fun `what a killed process has left is removed and nothing of others`() {
        val folder = Files.createTempDirectory("streamkeep-planted")
        try {
            val library = System.mapLibraryName("streamkeep_kotlin")
            fun made(name: String) = folder.resolve(name).also { Files.createDirectories(it.parent) }.also(Files::createFile)
            val left = listOf("$NO_PROCESS-1/$library", "$NO_PROCESS-1/a-link.$library").map(::made)
            val kept = listOf("precious/file", "precious/$library", "$NO_PROCESS-backup/file", "$NO_PROCESS-mixed/$library", "$NO_PROCESS-mixed/deep/$library", "$NO_PROCESS-notes").map(::made)
            Files.createSymbolicLink(Files.createDirectory(folder.resolve("$NO_PROCESS-2")).resolve("link"), folder.resolve("precious"))
            Files.createSymbolicLink(Files.createDirectory(folder.resolve("$NO_PROCESS-3")).resolve("a-link.$library"), folder.resolve("precious/$library"))
            Files.createSymbolicLink(folder.resolve("$NO_PROCESS-4"), folder.resolve("precious"))
            assertEquals("open", run("dev.streamkeep.Opens", "-Dstreamkeep.tmpdir=$folder"))
            assertEquals(emptyList(), left.map { it.parent }.filter(Files::exists))
            assertEquals(emptyList(), kept.filterNot(Files::exists))
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

    private companion object {
        /** The begin of the name of a folder that a process that has ended has left: no system has such a number. */
        const val NO_PROCESS = "streamkeep-999999999"
    }
}

/** Opens and closes stores in ten class loaders, one after the other, and prints what stays. */
internal object Redeploy {
    @JvmStatic
    fun main(args: Array<String>) {
        // The first round starts threads of the JVM itself.
        val first = round(path)
        eventually("threads of JNA: ${jnaThreads()}", 1.seconds) { jnaThreads() == 0 }
        val before = threads()
        val loaders = List(TIMES) { round(path) } + first
        eventually("loaders: ${loaders.count { it.get() != null }}, threads: $before before, ${threads()} now", 2.seconds) {
            System.gc()
            loaders.all { it.get() == null } && threads() <= before
        }
        check(jnaThreads() == 0) { "threads of JNA remain" }
        println("0 loaders alive, no thread more")
    }

    val path = System.getProperty("java.class.path").split(File.pathSeparator).map { Path.of(it).toUri().toURL() }.toTypedArray()

    fun jnaThreads() = Thread.getAllStackTraces().keys.count { it.name == "JNA Cleaner" }

    fun round(path: Array<java.net.URL>, parent: ClassLoader = ClassLoader.getPlatformClassLoader()): WeakReference<ClassLoader> {
        val loader = URLClassLoader(path, parent)
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
        // Core writes a log line.
        Logs.withOpenFile { url -> runCatching { type.getMethod("open", String::class.java).invoke(null, "$url&timeout_ms=300") } }
        folder.toFile().deleteRecursively()
        loader.close()
        return WeakReference(loader)
    }

    fun threads() = File("/proc/self/task").list()?.size ?: Thread.activeCount()

    const val TIMES = 10
}

/** Opens and closes stores whose JNA belongs to another class loader. */
internal object SharedJna {
    @JvmStatic
    fun main(args: Array<String>) {
        val (jna, others) = Redeploy.path.partition { "/jna-" in it.path }
        URLClassLoader(jna.toTypedArray(), ClassLoader.getPlatformClassLoader()).use {
            Redeploy.round(others.toTypedArray(), it)
            Thread.sleep(100)
            println("threads of JNA: ${Redeploy.jnaThreads()}")
        }
    }
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
