package dev.streamkeep

import com.fasterxml.jackson.core.JsonProcessingException
import com.fasterxml.jackson.databind.ObjectMapper
import kotlinx.serialization.json.Json
import kotlinx.serialization.serializer

/*
 * Converts values to JSON text and back, by optional dependencies of the application: kotlinx.serialization for Kotlin,
 * Jackson for Java. Events of text or bytes need neither, and neither is loaded before the first value is converted.
 */

/** The value as compact JSON, by kotlinx.serialization. */
public inline fun <reified T> encodePayload(value: T): Payload = Payload.json(Json.encodeToString(serializer<T>(), value))

/** The JSON text as a value, by kotlinx.serialization. */
public inline fun <reified T> Payload.decode(): T = Json.decodeFromString(serializer<T>(), text)

/** Values by Jackson. */
public object Jackson {
    private val mapper by lazy { ObjectMapper().findAndRegisterModules() }

    /** The value as compact JSON. A value that Jackson cannot write is `invalid-argument`. */
    @JvmStatic
    public fun encode(value: Any?): Payload = try {
        Payload.json(mapper.writeValueAsBytes(value))
    } catch (cause: JsonProcessingException) {
        throw InvalidArgumentException("data", "data cannot be written as JSON: ${cause.originalMessage}", Circumstances(cause = cause))
    }

    /** The JSON text as a value of a class. Throws Jackson's exceptions. */
    @JvmStatic
    public fun <T> decode(payload: Payload, type: Class<T>): T = mapper.readValue(payload.bytes, type)
}
