package dev.streamkeep

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.ObjectMapper
import com.fasterxml.jackson.databind.node.ArrayNode
import com.fasterxml.jackson.databind.node.JsonNodeFactory
import com.fasterxml.jackson.databind.node.NullNode
import com.fasterxml.jackson.databind.node.ObjectNode
import java.time.Duration
import java.time.Instant
import java.time.temporal.ChronoUnit
import java.util.Base64
import java.util.UUID
import kotlin.test.assertEquals
import kotlin.test.fail

/** Converts scenario values to the library's and back, and compares them. */
internal class ScenarioValues {
    private val nodes = JsonNodeFactory.instance
    val saved = mutableMapOf<String, JsonNode>()
    val nothing: JsonNode = NullNode.instance

    /** Fails on an unknown key, so that a scenario with a mistake cannot pass. */
    fun keys(node: JsonNode, vararg known: String) {
        val unknown = node.fieldNames().asSequence().toSet() - known.toSet()
        if (unknown.isNotEmpty()) fail("unknown keys $unknown in $node")
    }

    /** The value with its placeholders filled in. */
    fun resolve(node: JsonNode): JsonNode = when {
        node is ObjectNode -> nodes.objectNode().apply { node.properties().forEach { (name, value) -> set<JsonNode>(name, resolve(value)) } }
        node is ArrayNode -> nodes.arrayNode().apply { node.forEach { add(resolve(it)) } }
        !node.isTextual || !node.asText().startsWith("$") -> node
        node.asText().startsWith("$$") -> nodes.textNode(node.asText().drop(1))
        else -> lookUp(node.asText())
    }

    private fun lookUp(placeholder: String): JsonNode {
        val parts = placeholder.drop(1).split('.')
        val start = saved[parts.first()] ?: fail("$placeholder names nothing that was saved")
        return parts.drop(1).fold(start) { node, part ->
            (if (node is ArrayNode) node[part.toInt()] else node[part]) ?: fail("$placeholder names nothing")
        }
    }

    /** A value of a type of `surface.json`. */
    fun take(type: String, node: JsonNode): Any = when (type) {
        "text" -> node.asText()
        "number" -> node.asLong()
        "small_number" -> node.asInt()
        "flag" -> node.asBoolean()
        "duration" -> Duration.ofMillis(node.asLong())
        "query" -> query(node)
        "event[]" -> node.map(::event)
        "import_event[]" -> node.map(::importEvent)
        "snapshot" -> snapshot(node)
        "expected" -> expected(node)
        "direction" -> word(node, Direction.entries)
        "start" -> word(node, Start.entries)
        "durability" -> word(node, Durability.entries)
        else -> fail("unknown type $type")
    }

    private fun <T : Enum<T>> word(node: JsonNode, known: List<T>): T = known.singleOrNull { it.name.replaceFirstChar(Char::lowercase) == node.asText() } ?: fail("$node is none of $known")

    private fun expected(node: JsonNode): Expected = when {
        node.isNumber -> Expected.exact(node.asLong())
        node.asText() == "any" -> Expected.Any
        node.asText() == "no-stream" -> Expected.NoStream
        node.asText() == "stream-exists" -> Expected.StreamExists
        else -> fail("unknown expectation $node")
    }

    private fun texts(node: JsonNode?): List<String> = node?.map(JsonNode::asText).orEmpty()

    private fun query(node: JsonNode): Query = Query(
        node.map { item ->
            keys(item, "types", "tags", "categories", "streams")
            QueryItem(texts(item["types"]), texts(item["tags"]), texts(item["categories"]), texts(item["streams"]))
        },
    )

    private fun payload(node: JsonNode): Payload =
        if (node.isTextual) Payload.json(node.asText()) else Payload.bytes(Base64.getDecoder().decode(node["base64"].asText())).also { keys(node, "base64") }

    private fun event(node: JsonNode): Event {
        keys(node, "type", "data", "metadata", "tags", "id", "schema")
        var event = Event(node["type"].asText(), tags = texts(node["tags"]), schema = node["schema"]?.asText())
        node["data"]?.let { event = event.changed(data = payload(it)) }
        node["metadata"]?.let { event = event.withMetadata(it.asText()) }
        node["id"]?.let { event = event.withId(UUID.fromString(it.asText())) }
        return event
    }

    private fun importEvent(node: JsonNode): ImportEvent {
        keys(node, "stream", "version", "recorded_at", "event")
        val recordedAt = node["recorded_at"]?.let { Instant.EPOCH.plus(it.asLong(), ChronoUnit.MICROS) }
        return ImportEvent(node["stream"].asText(), event(node["event"]), node["version"]?.asLong(), recordedAt)
    }

    private fun snapshot(node: JsonNode): Snapshot {
        keys(node, "stream", "version", "schema", "data")
        return Snapshot(node["stream"].asText(), node["version"].asLong(), node["schema"].asText(), payload(node["data"]))
    }

    private fun data(payload: Payload): JsonNode =
        if (payload.isJson) nodes.textNode(payload.text) else nodes.objectNode().put("base64", Base64.getEncoder().encodeToString(payload.bytes))

    fun snapshotAnswer(it: Snapshot): JsonNode =
        nodes.objectNode().put("stream", it.stream).put("version", it.version).put("schema", it.schema).set("data", data(it.data))

    fun events(events: List<RecordedEvent>): JsonNode = nodes.arrayNode().apply { events.forEach { add(eventAnswer(it)) } }

    fun eventAnswer(it: RecordedEvent): JsonNode = nodes.objectNode().apply {
        put("stream", it.stream).put("version", it.version).put("position", it.position).put("id", it.id.toString()).put("type", it.type)
        put("metadata", it.metadata).put("schema", it.schema).put("content_type", it.contentType)
        put("recorded_at", ChronoUnit.MICROS.between(Instant.EPOCH, it.recordedAt))
        set<JsonNode>("data", data(it.data))
        putArray("tags").apply { it.tags.forEach(::add) }
    }

    /** An error's attributes, as its class has them. */
    fun errorAnswer(error: StreamkeepException): JsonNode = nodes.objectNode().apply {
        for (getter in error.javaClass.methods.filter { it.name.startsWith("get") && it.parameterCount == 0 && it.declaringClass.packageName == "dev.streamkeep" }) {
            val answer: Any? = when (val value = getter(error)) {
                is Expected.Exact -> value.version
                is Expected, is Outcome -> value.toString()
                else -> value
            }
            set<JsonNode>(getter.name.drop(3).replaceFirstChar(Char::lowercase), TREE.valueToTree<JsonNode>(answer))
        }
        put("retryable", error.retryable)
    }

    /** Objects must agree in the expected keys; all other values must be equal. */
    fun compare(expected: JsonNode, actual: JsonNode, where: String) {
        when {
            expected is ObjectNode -> expected.properties().forEach { (name, value) -> compare(value, actual.path(name), "$where, at $name") }
            expected is ArrayNode -> {
                assertEquals(expected.size(), actual.size(), "length of $actual in $where")
                expected.forEachIndexed { place, value -> compare(value, actual[place], "$where, at $place") }
            }
            expected.isNull && (actual.isNull || actual.isMissingNode) -> {}
            expected.isIntegralNumber && actual.isIntegralNumber -> assertEquals(expected.asLong(), actual.asLong(), where)
            else -> assertEquals(expected, actual, where)
        }
    }

    private companion object {
        val TREE = ObjectMapper()
    }
}
