package dev.streamkeep

import com.fasterxml.jackson.core.JsonProcessingException
import com.fasterxml.jackson.core.json.JsonWriteFeature
import com.fasterxml.jackson.databind.ObjectMapper
import com.fasterxml.jackson.databind.json.JsonMapper
import kotlinx.serialization.json.Json
import kotlinx.serialization.serializer

/*
 * Converts values to JSON text and back, by optional dependencies of the application: kotlinx.serialization for Kotlin,
 * Jackson for Java. Events of text or bytes need neither, and neither is loaded before the first value is converted.
 */

/** The value as compact JSON, by kotlinx.serialization. */
public inline fun <reified T> encodePayload(value: T): Payload = encodePayload(value, Json)

/** The value as JSON, by the caller's [json]. */
public inline fun <reified T> encodePayload(value: T, json: Json): Payload = try {
    Payload.json(json.encodeToString(serializer<T>(), value))
} catch (cause: IllegalArgumentException) {
    // The JDK's superclass of the library's exception: the library's own would have to be there to load this class.
    throw notJson(cause.message, cause)
}

/** The error about a value that cannot be written as JSON, such as NaN. */
@PublishedApi
internal fun notJson(why: String?, cause: Exception): InvalidArgumentException =
    InvalidArgumentException("data", "data cannot be written as JSON: $why", Circumstances(cause = cause))

/** The JSON text as a value, by kotlinx.serialization. */
public inline fun <reified T> Payload.decode(): T = Json.decodeFromString(serializer<T>(), text)

/** The JSON text as a value, by the caller's [json]. */
public inline fun <reified T> Payload.decode(json: Json): T = json.decodeFromString(serializer<T>(), text)

/** An event whose data is [value] as JSON, by the caller's [json]. */
public inline fun <reified T> Event.Companion.of(type: String, value: T, json: Json): Event = Event(type, encodePayload(value, json))

/** Values by Jackson. */
public object Jackson {
    private val mapper by lazy { JsonMapper.builder().findAndAddModules().build() }

    /** The value as compact JSON. A value that Jackson cannot write is `invalid-argument`. */
    @JvmStatic
    public fun encode(value: Any?): Payload = encode(value, mapper)

    /** The value as JSON, by the caller's [mapper]: `new Event(type, Jackson.encode(value, mapper))`. */
    @JvmStatic
    public fun encode(value: Any?, mapper: ObjectMapper): Payload = try {
        // NaN and infinity are written as they are, which core refuses, and not as texts.
        Payload.json(mapper.writer().without(JsonWriteFeature.WRITE_NAN_AS_STRINGS).writeValueAsBytes(value))
    } catch (cause: JsonProcessingException) {
        throw notJson(cause.originalMessage, cause)
    }

    /** The JSON text as a value of a class. Throws Jackson's exceptions. */
    @JvmStatic
    public fun <T> decode(payload: Payload, type: Class<T>): T = decode(payload, type, mapper)

    /** The JSON text as a value of a class, by the caller's [mapper]. Throws Jackson's exceptions. */
    @JvmStatic
    public fun <T> decode(payload: Payload, type: Class<T>, mapper: ObjectMapper): T = mapper.readValue(payload.bytes, type)
}
