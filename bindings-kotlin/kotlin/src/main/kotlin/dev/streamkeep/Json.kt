package dev.streamkeep

import com.fasterxml.jackson.core.JsonProcessingException
import com.fasterxml.jackson.databind.ObjectMapper
import kotlinx.serialization.json.Json
import kotlinx.serialization.serializer

/*
 * Values into JSON text and back, by libraries that the application brings: kotlinx.serialization from Kotlin, Jackson from Java. Neither is needed for events
 * that are given as text or bytes, and neither is loaded before a value is.
 */

/** The value as compact JSON, by kotlinx.serialization. */
public inline fun <reified T> encodePayload(value: T): Payload = Payload.json(Json.encodeToString(serializer<T>(), value))

/** The JSON text as a value, by kotlinx.serialization. */
public inline fun <reified T> Payload.decode(): T = Json.decodeFromString(serializer<T>(), text)

/** Values by Jackson. */
public object Jackson {
    private val mapper by lazy { ObjectMapper().findAndRegisterModules() }

    /** The value as compact JSON. What Jackson cannot write is an `invalid-argument`. */
    @JvmStatic
    public fun encode(value: Any?): Payload = try {
        Payload.json(mapper.writeValueAsBytes(value))
    } catch (cause: JsonProcessingException) {
        throw InvalidArgumentException("data", "data cannot be written as JSON: ${cause.originalMessage}", Circumstances(cause = cause))
    }

    /** The JSON text as a value of a class. Throws what Jackson throws. */
    @JvmStatic
    public fun <T> decode(payload: Payload, type: Class<T>): T = mapper.readValue(payload.bytes, type)
}
