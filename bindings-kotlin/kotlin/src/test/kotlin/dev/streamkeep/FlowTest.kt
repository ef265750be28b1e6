package dev.streamkeep

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestFactory
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.time.Duration.Companion.seconds

/** Flows are pulled, and ending one ends the work behind it. */
class FlowTest {
    private fun withEvents(count: Int, test: suspend (EventStore, String) -> Unit): List<DynamicTest> = backends.map { backend ->
        dynamicTest("on $backend") {
            val url = backend.freshUrl()
            runBlocking {
                withTimeout(20.seconds) {
                    EventStore.open(url).use { store ->
                        for (chunk in (1..count).chunked(1_000)) store.append("order-1", chunk.map { Event.json("E", "$it") })
                        test(store, url)
                    }
                }
            }
        }
    }

    @TestFactory
    fun `a long stream comes in pages and in order`() = withEvents(3_500) { store, _ ->
        assertEquals((1L..3_500L).toList(), store.read("order-1").toList().map { it.version })
        assertEquals((3_500L downTo 1L).toList(), store.readAll(direction = Direction.Backward).toList().map { it.version })
    }

    @TestFactory
    fun `a flow can be collected again`() = withEvents(3) { store, _ ->
        val events = store.read("order-1")
        assertEquals(events.toList(), events.toList())
    }

    @TestFactory
    fun `a read that is left early leaves nothing behind`() = withEvents(3_500) { store, _ ->
        val before = Channel.nativeHandles
        assertEquals(1, store.read("order-1").first().version)
        assertFailsWith<IllegalStateException> { store.readAll().collect { error("no more") } }
        eventually("readers stay behind") { Channel.nativeHandles <= before }
    }

    @TestFactory
    fun `a subscription that is left early, cancelled or closed leaves nothing behind`() = withEvents(3) { store, _ ->
        val before = Channel.nativeHandles
        assertEquals(2, store.subscribe().take(2).toList().size)
        val live = CompletableDeferred<Unit>()
        val follower = kotlinx.coroutines.CoroutineScope(Dispatchers.Default).launch { store.subscribe(onCaughtUp = { live.complete(Unit) }).collect {} }
        live.await()
        follower.cancelAndJoin()
        eventually("readers stay behind") { Channel.nativeHandles <= before }
        assertEquals(0 to 0, quiet())
        assertFailsWith<ClosedException> { store.subscribe(onCaughtUp = { store.close() }).collect {} }
        eventually("readers stay behind") { Channel.nativeHandles <= before }
    }

    @TestFactory
    fun `a live subscription sees what another handle writes`() = withEvents(1) { store, url ->
        EventStore.open(url).use { writer ->
            EventStore.open(url).use { reader ->
                val seen = mutableListOf<String>()
                reader.subscribe(Query(categories = listOf("parcel")), onCaughtUp = {
                    writer.append("invoice-1", listOf(Event.json("E", "0")))
                    writer.append("parcel-1", listOf(Event.json("E", "1"), Event.json("E", "2")))
                }).take(2).collect { seen += it.data.text }
                assertEquals(listOf("1", "2"), seen)
            }
        }
        store.head()
    }

    @Test
    fun `a value that JSON lacks is refused`() {
        for (value in listOf(Double.NaN, Double.POSITIVE_INFINITY)) {
            assertEquals("data", assertFailsWith<InvalidArgumentException> { Event.of("E", mapOf("a" to listOf(value))) }.argument)
        }
    }

    @Test
    fun `a store nobody holds any more is forgotten`() {
        val before = Channel.nativeHandles
        runBlocking { repeat(20) { EventStore.open(memory.freshUrl()) } }
        eventually("stores stay behind") {
            System.gc()
            Channel.nativeHandles <= before
        }
    }
}
