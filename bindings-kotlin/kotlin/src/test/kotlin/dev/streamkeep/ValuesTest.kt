package dev.streamkeep

import com.fasterxml.jackson.databind.PropertyNamingStrategies
import com.fasterxml.jackson.databind.json.JsonMapper
import kotlinx.serialization.ExperimentalSerializationApi
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonNamingStrategy
import org.junit.jupiter.api.Test
import java.time.Duration
import java.time.Instant
import java.util.UUID
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotEquals

/** Values are compared, printed and made by callers, and encoded as callers set it. */
class ValuesTest {
    private val id = UUID(1, 2)
    private val event = Event("Paid", Payload.json("""{"total":1}"""), """{"by":"amy"}""", listOf("a"), id, "v1")

    /** Two equal values of each class, one after the other, and one that differs in its last field. */
    private fun values(): List<Triple<Any, Any, Any>> = listOf(
        three { Event("Paid", event.data, event.metadata, listOf("a"), id, if (it) "v1" else "v2") },
        three { RecordedEvent("s", 1, 2, event, Instant.ofEpochSecond(if (it) 3 else 4)) },
        three { ImportEvent("s", event, 1, Instant.ofEpochSecond(if (it) 3 else 4)) },
        three { Snapshot("s", 1, "v1", Payload.json(if (it) "1" else "20")) },
        three { AppendResult(1, 2, it) },
        three { ImportResult(1, 2, if (it) 3 else 4) },
        three { Page(emptyList(), 1, it) },
        three { QueryItem(listOf("T"), listOf("a"), listOf("c"), if (it) listOf("s") else emptyList()) },
        three { Query(listOf("T"), streams = if (it) listOf("s") else emptyList()) },
        three { Expected.exact(if (it) 1 else 2) },
        three { OpenOptions.defaults().withTimeout(Duration.ofSeconds(1)).withInsecure(it) },
        three { AppendOptions.defaults().withExpected(Expected.exact(1)).withTimeout(Duration.ofSeconds(if (it) 1 else 2)) },
        three { ReadOptions.defaults().withFromVersion(2).withLimit(if (it) 1 else 2) },
        three { ReadAllOptions.defaults().withAfter(2).withDirection(if (it) Direction.Forward else Direction.Backward) },
        three { ReadPageOptions.defaults().withAfter(2).withLimit(if (it) 1 else 2) },
        three { SubscribeOptions.defaults().withStart(if (it) Start.Now else Start.Beginning) },
    )

    private fun three(make: (Boolean) -> Any) = Triple(make(true), make(true), make(false))

    @Test
    fun `values with equal fields are equal`() {
        for ((one, same, other) in values()) {
            assertEquals(one, same)
            assertEquals(one.hashCode(), same.hashCode(), "$one")
            assertEquals(one.toString(), same.toString())
            assertNotEquals(one, other)
            assertNotEquals(one.toString(), other.toString())
        }
    }

    @Test
    fun `values are printed with their fields`() {
        assertEquals("AppendResult(version=1, position=2, repeated=true)", AppendResult(1, 2, true).toString())
        val printed = """Event(type=Paid, data=Json(11 bytes), metadata={"by":"amy"}, tags=[a], id=$id, schema=v1)"""
        assertEquals(printed, event.toString())
    }

    @Test
    fun `a recorded event is made of an event for a test`() {
        val recorded = RecordedEvent("order-1", 3, 7, event)
        assertEquals(listOf("order-1", 3L, 7L, id, "Paid", event.data, event.metadata, listOf("a"), "v1", "application/json"), recorded.run { listOf(stream, version, position, this.id, type, data, metadata, tags, schema, contentType) })
        assertEquals(0, recorded.recordedAt.nano % 1_000)
        val stored = BlockingEventStore.open("memory:").use { store ->
            store.append("order-1", listOf(event))
            store.read("order-1").iterator().next()
        }
        assertEquals(stored, RecordedEvent("order-1", 1, 1, event, stored.recordedAt))
    }

    @OptIn(ExperimentalSerializationApi::class)
    @Test
    fun `kotlinx encodes and decodes with the caller's Json`() {
        val pretty = Json { prettyPrint = true; prettyPrintIndent = " "; namingStrategy = JsonNamingStrategy.SnakeCase }
        val made = Event.of("Paid", mapOf("total" to 1), pretty)
        assertEquals("{\n \"total\": 1\n}", made.data.text)
        assertFailsWith<IllegalArgumentException> { Payload.json("{total:1}").decode<Map<String, Int>>() }
        assertEquals(mapOf("total" to 1), Payload.json("{total:1}").decode<Map<String, Int>>(Json { isLenient = true }))
        val special = Event.of("Paid", Double.NaN, Json { allowSpecialFloatingPointValues = true })
        BlockingEventStore.open("memory:").use { store ->
            assertFailsWith<InvalidArgumentException> { store.append("order-1", listOf(special)) }
        }
    }

    class Bean(val orderTotal: Double)

    @Test
    fun `Jackson encodes and decodes with the caller's mapper`() {
        val mapper = JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build()
        assertEquals("""{"order_total":1.5}""", Jackson.encode(Bean(1.5), mapper).text)
        assertEquals("""{"orderTotal":1.5}""", Jackson.encode(Bean(1.5)).text)
        val lenient = JsonMapper.builder().enable(com.fasterxml.jackson.core.json.JsonReadFeature.ALLOW_UNQUOTED_FIELD_NAMES).build()
        assertEquals(mapOf("total" to 1), Jackson.decode(Payload.json("{total:1}"), Map::class.java, lenient))
        BlockingEventStore.open("memory:").use { store ->
            val special = Event("Paid", Jackson.encode(Bean(Double.NaN), mapper))
            assertFailsWith<InvalidArgumentException> { store.append("order-1", listOf(special)) }
        }
    }
}
