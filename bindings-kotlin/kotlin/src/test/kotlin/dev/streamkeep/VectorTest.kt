package dev.streamkeep

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.ObjectMapper
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.TestFactory
import java.util.HexFormat
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue

/** Which values are accepted, which are refused and how, and when two are equal: the same in all languages. */
class VectorTest {
    private val vectors = ObjectMapper().readTree(repository.resolve("tests/vectors/values.json").toFile())
    private val values = ScenarioValues()

    private val stores = mutableListOf<Face>()

    @AfterEach
    fun close() = stores.forEach(Face::close)

    @TestFactory
    fun `values are taken and refused as in every language`(): List<DynamicTest> = listOf(kotlinFace, javaFace).flatMap { face -> backends.flatMap { on(face, it) } }

    private fun on(face: Opener, backend: Backend): List<DynamicTest> {
        // The durability does not matter here.
        val store = face.open(backend.freshUrl(), OpenOptions(durability = Durability.Relaxed)).also(stores::add)
        return listOf("accepted", "refused", "same", "different").flatMap { section -> vectors[section].map { Triple(section, it, case(store, section, it)) } }
            .plus(listOf("metadata", "tags", "names").flatMap { kind -> vectors[kind].properties().flatMap { (section, cases) -> cases.map { Triple("$kind $section", it, nested(store, kind, section, it)) } } })
            .map { (section, case, run) -> dynamicTest("$face on $backend, $section: ${case["name"].asText()}") { run() } }
    }

    private fun case(store: Face, section: String, case: JsonNode): () -> Unit = when (section) {
        "accepted" -> ({ taken(store, Event("V", payload(case))) })
        "refused" -> ({ refused(store, case, case["fields"]) { Event("V", payload(case)) } })
        "same" -> ({ assertTrue(appendTwice(store, case).repeated) })
        else -> ({ assertFailsWith<DuplicateEventException> { appendTwice(store, case) } })
    }

    private fun nested(store: Face, kind: String, section: String, case: JsonNode): () -> Unit {
        val events = { name: String -> event(kind, name, case) }
        val kinds = case["as"]?.map(JsonNode::asText) ?: listOf(kind)
        return if (section == "accepted") ({ kinds.forEach { taken(store, events(it), streamOf(it, case)) } }) else ({ kinds.forEach { refused(store, case, fields(case, it, kind), streamOf(it, case)) { events(it) } } })
    }

    private fun event(kind: String, name: String, case: JsonNode): Event = when (if (kind == "names") name else kind) {
        "metadata" -> Event("V", metadata = text(case))
        "tags" -> Event("V", tags = case["numbered"]?.let { n -> (1..n.asInt()).map { "tag-$it" } } ?: case["tags"].map(JsonNode::asText))
        "type" -> Event(text(case))
        "tag" -> Event("V", tags = listOf(text(case)))
        "schema" -> Event("V", schema = text(case))
        else -> Event("V")
    }

    private fun streamOf(name: String, case: JsonNode) = if (name == "stream") text(case) else randomName("v")

    private fun fields(case: JsonNode, name: String, kind: String): JsonNode {
        if (kind != "names") return case["fields"]
        return case["fields"].deepCopy<com.fasterxml.jackson.databind.node.ObjectNode>().put(if (case["code"].asText() == "limit-exceeded") "what" else "argument", name)
    }

    private fun taken(store: Face, event: Event, stream: String = randomName("v")) {
        store.append(stream, listOf(event))
        val back = store.read(stream).single()
        assertEquals(listOf(event.type, event.data, event.metadata, event.tags, event.schema), listOf(back.type, back.data, back.metadata, back.tags, back.schema))
    }

    private fun refused(store: Face, case: JsonNode, fields: JsonNode, stream: String = randomName("v"), event: () -> Event) {
        val head = store.head()
        val error = assertFailsWith<StreamkeepException> { store.append(stream, listOf(event())) }
        assertEquals(case["code"].asText(), error.code, error.message)
        values.compare(fields, values.errorAnswer(error), case["name"].asText())
        assertEquals(head, store.head(), "nothing is written")
    }

    private fun appendTwice(store: Face, case: JsonNode): AppendResult {
        val stream = randomName("v")
        val first = Event.json("V", case["a"].asText())
        store.append(stream, listOf(first))
        return store.append(stream, listOf(first.changed(data = Payload.json(case["b"].asText()))))
    }

    private fun payload(case: JsonNode): Payload = case["hex"]?.let { Payload.json(HexFormat.of().parseHex(it.asText())) } ?: Payload.json(text(case))

    private fun text(case: JsonNode): String = case["text"]?.asText()
        ?: case["utf16"]?.let { units -> String(CharArray(units.size()) { units[it].asInt().toChar() }) }
        ?: case["repeat"]!!.let { r ->
            fun part(name: String, times: Int = 1) = r.path(name).asText("").repeat(times)
            val times = r["times"].asInt()
            part("start") + part("open", times) + part("middle") + part("close", times) + part("end")
        }
}
