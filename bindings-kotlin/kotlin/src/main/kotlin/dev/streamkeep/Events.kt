package dev.streamkeep

import java.time.Instant
import java.util.UUID

/** The content of an event or a snapshot: JSON text or bytes, kept byte for byte. It is checked when it is appended, before anything is written. */
public class Payload private constructor(private val given: String?, private val raw: ByteArray?, isBytes: Boolean) {
    /** Whether it is JSON text. */
    public val isJson: Boolean = !isBytes

    /** `application/json` or `application/octet-stream`. */
    public val contentType: String get() = if (isJson) "application/json" else "application/octet-stream"

    /** The JSON text, exactly as it was appended. Decoded when first asked for. A payload of bytes has none: [IllegalStateException]. */
    public val text: String by lazy(LazyThreadSafetyMode.PUBLICATION) {
        check(isJson) { "a payload of bytes has no text: use bytes" }
        given ?: String(stored(), Charsets.UTF_8)
    }

    /** A copy of the bytes: those given, or the JSON text as UTF-8. */
    public val bytes: ByteArray get() = stored().copyOf()

    private fun stored(): ByteArray = raw ?: given.orEmpty().toByteArray()

    internal fun write(frame: RequestWriter) {
        frame.flag(!isJson)
        if (given != null) frame.text(given, "data") else frame.bytes(stored())
    }

    override fun equals(other: Any?): Boolean = other is Payload && isJson == other.isJson && stored().contentEquals(other.stored())

    override fun hashCode(): Int = stored().contentHashCode()

    /** Payloads may be personal: only kind and length are shown. */
    override fun toString(): String = "${if (isJson) "Json" else "Bytes"}(${stored().size} bytes)"

    public companion object {
        internal val EMPTY = json("{}")

        /** JSON text, as it is. */
        @JvmStatic
        public fun json(text: String): Payload = Payload(text, null, isBytes = false)

        /** JSON text as UTF-8, as it is. */
        @JvmStatic
        public fun json(utf8: ByteArray): Payload = Payload(null, utf8.copyOf(), isBytes = false)

        /** Bytes. */
        @JvmStatic
        public fun bytes(bytes: ByteArray): Payload = Payload(null, bytes.copyOf(), isBytes = true)

        internal fun read(frame: FrameReader): Payload {
            val isBytes = frame.flag()
            return Payload(null, frame.bytes(), isBytes)
        }
    }
}

/**
 * One occurrence, to be appended. Its [id] is made with it, so that an append of the same Event can be repeated safely; make a new one for each occurrence.
 *
 * @property type what happened; types that begin with `$` are the store's own and are refused
 * @property data the content, `{}` unless given
 * @property metadata the text of a JSON object beside the content, `{}` unless given
 * @property tags a set of labels, in the order given
 * @property id the occurrence's identity, made here unless given
 * @property schema the shape of [data], as its author names it
 */
public data class Event @JvmOverloads constructor(
    public val type: String,
    public val data: Payload = Payload.EMPTY,
    public val metadata: String = "{}",
    public val tags: List<String> = emptyList(),
    public val id: UUID = Channel.shared.newId(),
    public val schema: String? = null,
) {
    /** The same event with this metadata, the text of a JSON object. */
    public fun withMetadata(jsonObject: String): Event = copy(metadata = jsonObject)

    /** The same event with these tags. */
    public fun withTags(vararg tags: String): Event = copy(tags = tags.toList())

    /** The same event with an id of one's own. */
    public fun withId(id: UUID): Event = copy(id = id)

    /** The same event, its data's shape named. */
    public fun withSchema(schema: String): Event = copy(schema = schema)

    internal fun write(frame: RequestWriter) {
        frame.text(type, "type")
        data.write(frame)
        frame.text(metadata, "metadata")
        frame.texts(tags, "tag")
        frame.uuid(id)
        frame.optional(schema) { frame.text(it, "schema") }
    }

    public companion object {
        /** An event whose data is JSON text, kept as it is. */
        @JvmStatic
        public fun json(type: String, text: String): Event = Event(type, Payload.json(text))

        /** An event whose data is JSON text as UTF-8, kept as it is. */
        @JvmStatic
        public fun json(type: String, utf8: ByteArray): Event = Event(type, Payload.json(utf8))

        /** An event whose data is bytes. */
        @JvmStatic
        public fun bytes(type: String, bytes: ByteArray): Event = Event(type, Payload.bytes(bytes))

        /** An event whose data is [value] as compact JSON, by kotlinx.serialization, which the application brings. */
        @JvmSynthetic
        @JvmName("ofSerializable")
        public inline fun <reified T> of(type: String, value: T): Event = Event(type, encodePayload(value))

        /** An event whose data is [value] as compact JSON, by Jackson, which the application brings. */
        @JvmStatic
        @JvmName("of")
        public fun ofBean(type: String, value: Any?): Event = Event(type, Jackson.encode(value))
    }
}

/**
 * An event as the log holds it.
 *
 * @property stream the stream it belongs to
 * @property version its place in the stream: the first is 1, without gaps
 * @property position its place in the log; only grows, gaps mean nothing
 * @property id the occurrence's identity
 * @property type what happened
 * @property data the content, byte for byte as it was accepted
 * @property metadata the text of a JSON object, byte for byte as it was accepted
 * @property tags labels, in the order given
 * @property schema the shape of [data], as its author named it
 * @property recordedAt when it was recorded, to the microsecond; information only, never an order
 */
@ConsistentCopyVisibility
public data class RecordedEvent internal constructor(
    public val stream: String,
    public val version: Long,
    public val position: Long,
    public val id: UUID,
    public val type: String,
    public val data: Payload,
    public val metadata: String,
    public val tags: List<String>,
    public val schema: String?,
    public val recordedAt: Instant,
) {
    /** `application/json` or `application/octet-stream`. */
    public val contentType: String get() = data.contentType

    internal companion object {
        fun read(frame: FrameReader): RecordedEvent = RecordedEvent(
            stream = frame.text(),
            version = frame.long(),
            position = frame.long(),
            type = frame.text(),
            data = Payload.read(frame),
            metadata = frame.text(),
            tags = frame.list(frame::text),
            id = frame.uuid(),
            schema = frame.optional(frame::text),
            recordedAt = instantOfMicros(frame.long()),
        )
    }
}

/**
 * An event recorded elsewhere, to be imported with its place, id and time.
 *
 * @property stream the stream it belongs to
 * @property event the event; types of the store's own (`$…`) are taken too
 * @property version its version there; the stream's next one unless given
 * @property recordedAt when it was recorded; now unless given; kept to the microsecond
 */
public data class ImportEvent @JvmOverloads constructor(
    public val stream: String,
    public val event: Event,
    public val version: Long? = null,
    public val recordedAt: Instant? = null,
) {
    internal fun write(frame: RequestWriter) {
        frame.text(stream, "stream")
        frame.optionalLong(version)
        frame.optionalLong(recordedAt?.let(::microsOf))
        event.write(frame)
    }
}

private const val MICROS = 1_000_000L
private const val MICRO_NANOS = 1_000L

private fun instantOfMicros(micros: Long): Instant = Instant.ofEpochSecond(Math.floorDiv(micros, MICROS), Math.floorMod(micros, MICROS) * MICRO_NANOS)

/** Times beyond what 64 bits of microseconds hold become the furthest there are, which core refuses by its own rule. */
private fun microsOf(time: Instant): Long = try {
    Math.addExact(Math.multiplyExact(time.epochSecond, MICROS), time.nano / MICRO_NANOS)
} catch (_: ArithmeticException) {
    if (time.epochSecond < 0) Long.MIN_VALUE else Long.MAX_VALUE
}
