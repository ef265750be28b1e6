package dev.streamkeep

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.ObjectMapper
import org.junit.jupiter.api.Test
import java.lang.reflect.Method
import java.lang.reflect.Modifier
import kotlin.test.assertEquals
import kotlin.test.assertNotNull

/** Kotlin's and Java's classes have exactly the methods, options and fields of `surface.json`, in their own case. */
class SurfaceTest {
    private val surface = ObjectMapper().readTree(repository.resolve("generate/surface.json").toFile())

    private fun JsonNode.here() = !has("only") || path("only").any { it.asText() == "jvm" }

    private fun operations() = surface["store"].properties().filter { it.value.here() }.associate { camel(it.key) to it.value }

    private fun names(list: JsonNode) = list.filter { it.here() }.map { camel(it["name"].asText()) }

    @Test
    fun `Kotlin's store has the operations with their arguments and options`() {
        val own = operationsOf(EventStore::class.java) + operationsOf(EventStore.Companion::class.java)
        assertEquals(operations().keys, own.keys - "use")
        for ((name, operation) in operations()) {
            val method = assertNotNull(own[name]).single()
            val parameters = method.parameters.map { it.name } - "\$completion"
            assertEquals(names(operation["arguments"]) + names(operation["options"]), parameters, name)
        }
    }

    @Test
    fun `Java's stores have the operations with their arguments and options`() {
        for (type in listOf(BlockingEventStore::class.java, AsyncEventStore::class.java)) {
            val own = operationsOf(type)
            assertEquals(operations().keys, own.keys, type.simpleName)
            for ((name, operation) in operations()) {
                val methods = own.getValue(name)
                val taken = methods.flatMap { method -> method.parameters.flatMap { optionsOf(it.type) ?: listOf(it.name) } }.toSet()
                assertEquals((names(operation["arguments"]) + names(operation["options"])).toSet(), taken, "${type.simpleName}.$name")
            }
        }
    }

    @Test
    fun `what Java calls takes no value class of Kotlin's`() {
        val types = listOf(BlockingEventStore::class.java, AsyncEventStore::class.java, Events::class.java, AsyncEvents::class.java, Event::class.java, Payload::class.java, Query::class.java) + OPTIONS
        val mangled = types.flatMap { it.methods.toList() }.filter { '-' in it.name && Modifier.isPublic(it.modifiers) }
        assertEquals(emptyList(), mangled.map(Method::toString))
    }

    @Test
    fun `types have the fields`() {
        val classes = mapOf(
            "event" to Event::class.java,
            "recorded_event" to RecordedEvent::class.java,
            "import_event" to ImportEvent::class.java,
            "append_result" to AppendResult::class.java,
            "import_result" to ImportResult::class.java,
            "page" to Page::class.java,
            "query_item" to QueryItem::class.java,
            "snapshot" to Snapshot::class.java,
        )
        assertEquals(surface["types"].fieldNames().asSequence().toSet(), classes.keys)
        for ((name, type) in classes) assertEquals(names(surface["types"][name]["fields"]).toSet(), properties(type), name)
    }

    @Test
    fun `values have their names`() {
        fun words(name: String) = surface["values"][name]["words"].map { it["name"].asText() }
        fun said(name: String) = words(name).map(::pascal)
        assertEquals(said("direction"), Direction.entries.map { it.name })
        assertEquals(said("start"), Start.entries.map { it.name })
        assertEquals(said("durability"), Durability.entries.map { it.name })
        assertEquals(words("expected"), listOf(Expected.Any, Expected.NoStream, Expected.StreamExists).map { "$it" })
    }

    @Test
    fun `every code has its class with its facts as properties`() {
        val attributes = surface["error"]["attributes"].map { it.asText() }.toSet() - setOf("message", "cause")
        assertEquals(attributes, properties(StreamkeepException::class.java))
        for ((code, facts) in surface["error"]["codes"].properties()) {
            val type = Class.forName("dev.streamkeep." + pascal(code) + "Exception")
            assertEquals(StreamkeepException::class.java, type.superclass)
            assertEquals(facts.map { it.asText() }.toSet(), properties(type), code)
        }
        assertEquals(surface["error"]["codes"].size(), StreamkeepException::class.java.permittedSubclasses.size, "no class without a code")
    }

    @Test
    fun `the version is the artifact's`() {
        val pom = repository.resolve("bindings-kotlin/pom.xml").toFile().readText()
        assertEquals(Channel.VERSION, Regex("<artifactId>streamkeep</artifactId>\\s*<version>(.*)</version>").find(pom)?.groupValues?.get(1))
    }

    private fun operationsOf(type: Class<*>): Map<String, List<Method>> = type.declaredMethods
        .filter { Modifier.isPublic(it.modifiers) && !it.isSynthetic && !it.name.contains('$') }
        .groupBy { it.name.substringBefore('-') }
        .filterKeys { !it.startsWith("get") }

    /** The options of an options class; `null` for another class. */
    private fun optionsOf(type: Class<*>): List<String>? {
        if (!type.name.startsWith("dev.streamkeep.") || !type.simpleName.endsWith("Options")) return null
        return type.declaredMethods.filter { it.name.startsWith("with") }.map { it.name.drop(4).replaceFirstChar(Char::lowercase) }
    }

    private fun properties(type: Class<*>): Set<String> = type.declaredMethods
        .filter { Modifier.isPublic(it.modifiers) && !Modifier.isStatic(it.modifiers) && it.parameterCount == 0 && Regex("get[A-Z].*").matches(it.name) && '$' !in it.name }
        .map { it.name.drop(3).replaceFirstChar(Char::lowercase) }
        .toSet()

    private fun pascal(name: String) = name.split('-', '_').joinToString("") { it.replaceFirstChar(Char::uppercase) }

    private fun camel(name: String) = pascal(name).replaceFirstChar(Char::lowercase)

    private companion object {
        val OPTIONS = listOf(OpenOptions::class, AppendOptions::class, ReadOptions::class, ReadAllOptions::class, ReadPageOptions::class, SubscribeOptions::class).map { it.java }
    }
}
