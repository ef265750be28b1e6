package dev.streamkeep

import org.junit.jupiter.api.Test
import java.io.File
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.attribute.PosixFilePermissions
import java.time.Duration
import kotlin.test.assertEquals

/** Core's log lines reach the application's logger. */
class LogTest {
    private val line = "the password file is ignored: others can read it; its mode must be 0600 or less"

    /** What a program prints whose class path has no library with one of these names. */
    private fun printed(vararg missing: String): List<String> {
        val path = System.getProperty("java.class.path").split(File.pathSeparator).filter { jar -> missing.none { "/$it-" in jar } }
        val command = program("dev.streamkeep.Logs").toMutableList()
        command[command.indexOf("-cp") + 1] = path.joinToString(File.pathSeparator)
        return ProcessBuilder(command).redirectErrorStream(true).start().inputStream.readAllBytes().decodeToString().trim().lines()
    }

    @Test
    fun `lines go to SLF4J before the call's answer`() {
        assertEquals(listOf("[streamkeep-answers] WARN dev.streamkeep - $line", "UnavailableException"), printed().takeLast(2))
    }

    @Test
    fun `without SLF4J or what it writes with, lines go to the system's logger`() {
        for (missing in listOf(arrayOf("slf4j-api", "slf4j-simple"), arrayOf("slf4j-simple"))) {
            // The first line has the time.
            assertEquals(listOf("WARNING: $line", "UnavailableException"), printed(*missing).takeLast(2))
        }
    }
}

/** Opens a store in a way that makes core write a line, and that needs no server. */
internal object Logs {
    fun withOpenFile(work: (url: String) -> Unit) {
        val file = Files.createTempFile("streamkeep", ".pgpass", PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-r--r--")))
        try {
            Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"))
            work(url(file))
        } finally {
            Files.delete(file)
        }
    }

    private fun url(file: Path) = "postgres://amy@127.0.0.1:1/orders?passfile=$file"

    @JvmStatic
    fun main(args: Array<String>) = withOpenFile { url ->
        try {
            BlockingEventStore.open(url, OpenOptions.defaults().withTimeout(Duration.ofMillis(50))).close()
        } catch (failed: UnavailableException) {
            System.err.println(failed.javaClass.simpleName)
        }
    }
}
