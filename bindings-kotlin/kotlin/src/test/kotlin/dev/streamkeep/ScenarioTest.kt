package dev.streamkeep

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.ObjectMapper
import com.fasterxml.jackson.databind.node.JsonNodeFactory
import org.junit.jupiter.api.Assertions.assertTimeoutPreemptively
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.TestFactory
import java.nio.file.Path
import java.time.Duration
import kotlin.io.path.extension
import kotlin.io.path.listDirectoryEntries
import kotlin.io.path.name
import kotlin.test.fail

/** Runs the scenarios that all languages share with Kotlin's and Java's classes, on every backend. */
class ScenarioTest {
    @TestFactory
    fun `every scenario has the same answers`(): List<DynamicTest> {
        val files = repository.resolve("tests/scenarios").listDirectoryEntries().filter { it.extension == "json" }.sorted()
        check(files.isNotEmpty()) { "there are no scenarios" }
        return listOf(kotlinFace, javaFace).flatMap { face ->
            backends.flatMap { backend ->
                files.map { file -> dynamicTest("$face on $backend: ${file.name}") { assertTimeoutPreemptively(LIMIT) { Scenario(face, backend, file).run() } } }
            }
        }
    }

    private companion object {
        val LIMIT: Duration = Duration.ofSeconds(30)
    }
}

private class Scenario(private val face: Opener, backend: Backend, file: Path) {
    private val scenario = ObjectMapper().readTree(file.toFile())
    private val values = ScenarioValues()
    private val described = Described(values)
    private val stores = mutableMapOf<String, Face>()
    private val base = backend.base()
    private val namespace = randomName("s")

    fun run() {
        values.keys(scenario, "name", "steps", "open")
        try {
            stores["store"] = open(scenario.path("open"))
            scenario["steps"].forEach(::step)
        } finally {
            stores.values.forEach(Face::close)
        }
    }

    private fun step(step: JsonNode) {
        values.keys(step, "op", "args", "on", "expect", "error", "save", "as", "take", "when_caught_up")
        val answer = try {
            perform(step)
        } catch (error: StreamkeepException) {
            val expected = step["error"] ?: throw AssertionError("$step failed", error)
            return values.compare(values.resolve(expected), values.errorAnswer(error), "$step")
        }
        if (step.has("error")) fail("$step did not fail but answered $answer")
        step["expect"]?.let { values.compare(values.resolve(it), answer, "$step") }
        step["save"]?.let { values.saved[it.asText()] = answer }
    }

    private fun perform(step: JsonNode): JsonNode {
        val args = values.resolve(step.path("args"))
        val op = step["op"].asText()
        if (op == "open") {
            stores[step["as"].asText()] = open(args)
            return values.nothing
        }
        val store = stores.getValue(step.path("on").asText("store"))
        if (op == "subscribe") {
            val whenCaughtUp = { step.path("when_caught_up").forEach(::step) }
            return values.events(store.subscribe(described.options("subscribe", args) as SubscribeOptions, step["take"]?.asInt(), whenCaughtUp))
        }
        return described.perform(store.store, op, args)
    }

    private fun open(args: JsonNode): Face {
        val more = args.path("url").asText("")
        val url = base + if ('?' in base) more.replaceFirst('?', '&') else more
        val own = args["namespace"]?.let { "${namespace}_${it.asText()}" } ?: namespace
        val all = JsonNodeFactory.instance.objectNode().put("namespace", own)
        args.properties().filter { it.key != "namespace" }.forEach { (name, value) -> all.set<JsonNode>(name, value) }
        return face.open(url, described.options("open", all) as OpenOptions)
    }
}

/** The base URL of a scenario, the same for all its handles. */
private fun Backend.base(): String = when (name) {
    "memory" -> "memory:" + randomName("m")
    "sqlite" -> sqlite.freshUrl()
    else -> System.getenv(serverVariables.getValue(name))
}
