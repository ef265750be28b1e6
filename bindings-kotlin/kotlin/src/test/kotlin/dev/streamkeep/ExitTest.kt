package dev.streamkeep

import kotlinx.coroutines.GlobalScope
import kotlinx.coroutines.DelicateCoroutinesApi
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.TestFactory
import java.util.concurrent.TimeUnit
import kotlin.test.assertEquals
import kotlin.test.assertTrue

/** A JVM can exit while calls are in flight. */
class ExitTest {
    @TestFactory
    fun `a JVM with calls in flight exits without a word`(): List<DynamicTest> = backends.map { backend -> dynamicTest("on $backend") { exits(backend) } }

    private fun exits(backend: Backend) {
        repeat(TIMES / AT_ONCE) { round ->
            val processes = List(AT_ONCE) { n -> listOf("return", "exit")[n % 2].let { how -> how to start(how, backend.freshUrl()) } }
            for ((how, process) in processes) {
                val ended = process.waitFor(SECONDS, TimeUnit.SECONDS)
                if (!ended) process.destroyForcibly()
                assertTrue(ended, "the JVM hangs ($backend, $how, round $round)")
                assertEquals("in flight\n" to 0, process.inputStream.readAllBytes().decodeToString() to process.exitValue(), "$backend, $how, round $round")
            }
        }
    }

    private fun start(how: String, url: String): Process {
        val command = program("dev.streamkeep.ExitTestKt", "-XX:TieredStopAtLevel=1") + listOf(how, url)
        return ProcessBuilder(command).redirectErrorStream(true).start().apply { outputStream.close() }
    }

    private companion object {
        const val TIMES = 20
        const val AT_ONCE = 4
        const val SECONDS = 30L
    }
}

/** Starts appends, reads and a subscription, awaits none of them, and ends. */
@OptIn(DelicateCoroutinesApi::class)
fun main(args: Array<String>) {
    val store = runBlocking { EventStore.open(args[1]) }
    repeat(500) { n -> GlobalScope.launch { store.append("order-${n % 10}", listOf(Event.json("E", "$n"))) } }
    repeat(20) { GlobalScope.launch { store.readAll().collect {} } }
    GlobalScope.launch { store.subscribe().collect {} }
    runBlocking { store.append("order-1", listOf(Event.json("E", "{}"))) }
    println("in flight")
    if (args[0] == "exit") Runtime.getRuntime().exit(0)
}
