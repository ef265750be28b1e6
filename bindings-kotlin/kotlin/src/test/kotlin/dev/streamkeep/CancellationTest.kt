package dev.streamkeep

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.joinAll
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import java.util.concurrent.ConcurrentHashMap
import kotlin.random.Random
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.microseconds
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlin.time.measureTime

/**
 * Appends that are cancelled at any moment are stored completely or not at all, and a store of one connection still
 * answers.
 */
class CancellationTest {
    @Test
    fun `cancelled appends are whole or absent on sqlite`() = cancelled(sqlite)

    @ParameterizedTest
    @ValueSource(strings = ["postgres", "mongodb"])
    fun `cancelled appends are whole or absent on a server`(name: String) {
        val server = server(name)
        assumeTrue(server != null, "${serverVariables[name]} is not set")
        cancelled(server!!)
    }

    private fun cancelled(backend: Backend): Unit = runBlocking(Dispatchers.Default) {
        val seed = System.getenv("STREAMKEEP_TEST_SEED")?.toLong() ?: Random.nextLong()
        println("$backend: delays from STREAMKEEP_TEST_SEED=$seed")
        val random = Random(seed)
        EventStore.open(backend.freshUrl(), maxConnections = 1, timeout = 20.seconds).use { store ->
            val acknowledged = ConcurrentHashMap.newKeySet<String>()
            val longest = measureTime { repeat(WARM_UP) { store.append("order-0", pair("warm up $it")) } }.inWholeMicroseconds / WARM_UP * LONGEST_APPENDS
            val others = launch { repeat(TIMES) { store.append("other-${it % STREAMS}", pair("other $it")) } }
            repeat(TIMES) { n ->
                val append = async {
                    store.append("order-${n % STREAMS}", pair("$n"))
                    acknowledged += "$n"
                }
                delay(random.nextLong(longest).microseconds)
                append.cancelAndJoin()
            }
            others.join()
            println("$backend: ${acknowledged.size} of $TIMES were acknowledged before they were cancelled")
            assertTrue(acknowledged.size in 1 until TIMES, "the delays meet appends at one stage only")
            assertWhole(store, acknowledged)
        }
        assertEquals(0 to 0, quiet(), "running calls, here and in the native library")
    }

    private fun pair(name: String) = listOf(Event.json("First", "\"$name\""), Event.json("Second", "\"$name\""))

    /** Waits for appends that were sent, by one more append to each stream. */
    private suspend fun assertWhole(store: EventStore, acknowledged: Set<String>) {
        val found = mutableMapOf<String, Int>()
        for (stream in (0 until STREAMS).map { "order-$it" }) {
            withTimeout(10.seconds) { store.append(stream, pair("last of $stream")) }
            val events = store.read(stream).toList()
            assertEquals((1L..events.size).toList(), events.map { it.version })
            for ((first, second) in events.chunked(2) { it.first() to it.last() }) {
                assertEquals(listOf("First", "Second", first.data.text), listOf(first.type, second.type, second.data.text), "whole and in one piece")
                found.merge(first.data.text.trim('"'), 1, Int::plus)
            }
        }
        assertEquals(emptySet(), acknowledged - found.keys, "acknowledged but not there")
        assertEquals(emptyMap(), found.filterValues { it > 1 }, "there more than once")
    }

    @Test
    fun `a cancelled append that waits is withdrawn`(): Unit = runBlocking(Dispatchers.Default) {
        EventStore.open(sqlite.freshUrl(), maxConnections = 1).use { store ->
            // Each append to one stream with an exact expected version needs its own commit, so most of them still wait
            // when they are cancelled.
            val appends = List(TIMES) { n -> launch { runCatching { store.append("order-1", listOf(Event.json("E", "$n")), Expected.exact(n.toLong())) } } }
            appends.forEach { it.cancel() }
            appends.joinAll()
            store.append("order-2", listOf(Event.json("E", "{}")))
            val before = store.head()
            assertTrue(store.read("order-1").toList().size < TIMES, "none was withdrawn")
            store.append("order-3", listOf(Event.json("E", "{}")))
            assertEquals(before + 1, store.head(), "a withdrawn append came later")
        }
        assertEquals(0 to 0, quiet())
    }

    @TestFactory
    fun `cancelling a coroutine that opens leaves no store behind`(): List<DynamicTest> = backends.map { backend -> dynamicTest("on $backend") { opened(backend) } }

    private fun opened(backend: Backend): Unit = runBlocking(Dispatchers.Default) {
        val random = Random(7)
        val before = Channel.nativeHandles
        val url = backend.freshUrl()
        repeat(TIMES) {
            coroutineScope {
                val opening = launch { EventStore.open(url).close() }
                delay(random.nextLong(LONGEST_MICROS).microseconds)
                opening.cancel()
            }
        }
        assertEquals(0 to 0, quiet())
        eventually("${Channel.nativeHandles} handles instead of $before") {
            System.gc()
            Channel.nativeHandles <= before
        }
    }

    private companion object {
        const val TIMES = 200
        const val STREAMS = 7
        const val LONGEST_MICROS = 3_000L
        const val WARM_UP = 20

        /** The longest delay before a cancellation, as a multiple of an append's duration. */
        const val LONGEST_APPENDS = 4
    }
}

/** Waits until no call is running. Returns the calls that still run after some seconds. */
internal fun quiet(): Pair<Int, Int> {
    runCatching { eventually("calls under way") { Channel.callsUnderWay == 0 to 0 } }
    return Channel.callsUnderWay
}

/** Waits for a condition, at most some seconds. */
internal fun eventually(otherwise: String, within: Duration = 10.seconds, condition: () -> Boolean) {
    val deadline = System.nanoTime() + within.inWholeNanoseconds
    while (!condition()) {
        check(System.nanoTime() < deadline) { otherwise }
        Thread.sleep(1)
    }
}
