package dev.streamkeep

import java.nio.file.Files
import java.nio.file.Path
import java.util.HexFormat
import kotlin.random.Random

/** A backend that the tests run on: its name, and how to make the URL of an empty store. */
internal class Backend(val name: String, val freshUrl: () -> String) {
    override fun toString(): String = name
}

/** The root of the repository, with the scenarios, vectors and surface that all languages share. */
internal val repository: Path = Path.of(System.getProperty("streamkeep.repository"))

internal val memory = Backend("memory") { "memory:" + randomName("m") }

internal val sqlite = Backend("sqlite") { "sqlite:" + folder.resolve(randomName("s") + ".db") }

/** The folder of this run's files, which is removed when it ends. */
private val folder: Path by lazy {
    Files.createTempDirectory("streamkeep").also { Runtime.getRuntime().addShutdownHook(Thread { it.toFile().deleteRecursively() }) }
}

/** The command that runs a program of the tests in a JVM of its own. */
internal fun program(main: String, vararg options: String): List<String> =
    listOf(ProcessHandle.current().info().command().orElseThrow(), "-Djava.io.tmpdir=" + System.getProperty("java.io.tmpdir")) + options + listOf("-cp", System.getProperty("java.class.path"), main)

/** The variables that name a server of each kind to test on. */
internal val serverVariables = mapOf("postgres" to "STREAMKEEP_TEST_POSTGRES_URL", "mongodb" to "STREAMKEEP_TEST_MONGODB_URL")

/** A backend that needs a server, if there is one to test on. */
internal fun server(name: String): Backend? =
    System.getenv(serverVariables.getValue(name))?.let { url -> Backend(name) { withParameter(url, "namespace=" + randomName("k")) } }

/** All available backends; reports each missing one. */
internal val backends: List<Backend> by lazy {
    val servers = serverVariables.mapNotNull { (name, variable) -> server(name).also { if (it == null) println("SKIPPED $name: $variable is not set") } }
    listOf(memory, sqlite) + servers
}

internal fun randomName(prefix: String): String = prefix + "_" + HexFormat.of().formatHex(Random.nextBytes(6))

internal fun withParameter(url: String, parameter: String): String = url + (if ('?' in url) "&" else "?") + parameter
