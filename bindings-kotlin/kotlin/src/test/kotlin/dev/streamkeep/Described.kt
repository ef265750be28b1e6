package dev.streamkeep

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.ObjectMapper
import com.fasterxml.jackson.databind.node.JsonNodeFactory
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import java.lang.reflect.InvocationTargetException
import java.lang.reflect.Method
import java.lang.reflect.Modifier
import java.util.Optional
import kotlin.coroutines.Continuation
import kotlin.coroutines.intrinsics.suspendCoroutineUninterceptedOrReturn
import kotlin.test.fail
import kotlin.time.toKotlinDuration

/** Calls the operations of `surface.json` on either store class, so that a new one needs no code here. */
internal class Described(private val values: ScenarioValues) {
    /** Calls an operation, and tells its answer. An argument that the operation does not have fails. */
    fun perform(store: Any, op: String, args: JsonNode): JsonNode {
        val operation = operations[op]?.takeIf { it["shape"].asText() in SHAPES } ?: fail("unknown operation $op")
        val given = given(operation, args)
        val answer = if (store is EventStore) ofKotlin(store, op, operation, given) else ofJava(store, op, operation, given)
        return tell(answer, operation["returns"]?.asText())
    }

    /** The options of an operation, as its class has them for Java. */
    fun options(op: String, args: JsonNode): Any = options(operations.getValue(op), given(operations.getValue(op), args))

    private fun given(operation: JsonNode, args: JsonNode): Map<String, Any> {
        val parameters = parameters(operation)
        val keys = parameters.associateBy { it["name"].asText() + if (it["type"].asText() == "duration") "_ms" else "" }
        values.keys(args, *keys.keys.toTypedArray())
        return keys.filterKeys(args::has).entries.associate { (key, parameter) -> parameter["name"].asText() to values.take(parameter["type"].asText(), args[key]) }
    }

    private fun options(operation: JsonNode, given: Map<String, Any>): Any {
        val type = Class.forName("dev.streamkeep." + operation["options_type"].asText())
        return listed(operation["options"]).map { it["name"].asText() }.filter(given::containsKey).fold(type.getMethod("defaults").invoke(null)) { options, name ->
            type.methods.single { it.name == "with" + pascal(name) }.call(options, given.getValue(name))!!
        }
    }

    private fun ofKotlin(store: EventStore, op: String, operation: JsonNode, given: Map<String, Any>): Any? = runBlocking {
        val method = methods(EventStore::class.java, op).single()
        val arguments = parameters(operation).zip(method.parameterTypes).map { (parameter, type) ->
            val value = given[parameter["name"].asText()] ?: parameter["default"]?.takeIf { it.asText() != "unbounded" }?.let { values.take(parameter["type"].asText(), it) }
            if (type == kotlin.time.Duration::class.java) (value as java.time.Duration?)?.toKotlinDuration() else value
        }
        val isSuspending = method.parameterTypes.lastOrNull() == Continuation::class.java
        val answer = if (isSuspending) {
            suspendCoroutineUninterceptedOrReturn<Any?> { method.call(store, *arguments.toTypedArray(), it) }
        } else {
            method.call(store, *arguments.toTypedArray())
        }
        if (answer is Flow<*>) answer.toList() else answer
    }

    private fun ofJava(store: Any, op: String, operation: JsonNode, given: Map<String, Any>): Any? {
        val arguments = listed(operation["arguments"]).map { given.getValue(it["name"].asText()) }
        val more = when {
            operation.has("options_type") -> listOf(options(operation, given))
            // The options are the last parameters; the overload with the fewest has those that are given.
            else -> listed(operation["options"]).map { given[it["name"].asText()] }.dropLastWhile { it == null }
        }
        val all = arguments + more
        val fitting = methods(store.javaClass, op).filter { method -> method.parameterCount == all.size && method.parameterTypes.zip(all).all { (type, value) -> if (value == null) !type.isPrimitive else type.kotlin.javaObjectType.isInstance(value) } }
        return when (val answer = fitting.single().call(store, *all.toTypedArray())) {
            is Optional<*> -> answer.orElse(null)
            is Events -> answer.use { it.toList() }
            else -> answer
        }
    }

    private fun tell(answer: Any?, type: String?): JsonNode = when {
        answer == null || type == null -> values.nothing
        type.endsWith("[]") -> values.events((answer as List<*>).map { it as RecordedEvent })
        answer is Number || answer is Boolean || answer is String -> TREE.valueToTree(answer)
        answer is Snapshot -> values.snapshotAnswer(answer)
        answer is RecordedEvent -> values.eventAnswer(answer)
        else -> JsonNodeFactory.instance.objectNode().apply {
            for (field in surface["types"][type]["fields"]) {
                val name = field["name"].asText()
                set<JsonNode>(name, tell(answer.javaClass.getMethod("get" + pascal(name)).call(answer), field["type"].asText()))
            }
        }
    }

    private fun methods(type: Class<*>, op: String): List<Method> {
        val name = pascal(op).replaceFirstChar(Char::lowercase)
        return type.declaredMethods.filter { Modifier.isPublic(it.modifiers) && !it.isSynthetic && it.name.substringBefore('-') == name }
    }

    /** What the call throws, as it was thrown. */
    private fun Method.call(on: Any, vararg arguments: Any?): Any? = try {
        invoke(on, *arguments)
    } catch (thrown: InvocationTargetException) {
        throw thrown.targetException
    }

    private companion object {
        val TREE = ObjectMapper()
        val SHAPES = setOf("answer", "events", "close")
        val surface: JsonNode = TREE.readTree(repository.resolve("generate/surface.json").toFile())

        fun JsonNode.here() = !has("only") || path("only").any { it.asText() == "jvm" }

        fun listed(parameters: JsonNode) = parameters.filter { it.here() }

        fun parameters(operation: JsonNode) = listed(operation["arguments"]) + listed(operation["options"])

        val operations = surface["store"].properties().filter { it.value.here() }.associate { it.key to it.value }

        fun pascal(name: String) = name.split('-', '_').joinToString("") { it.replaceFirstChar(Char::uppercase) }
    }
}
