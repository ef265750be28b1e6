package dev.streamkeep

import java.time.Instant
import java.time.temporal.ChronoUnit
import java.util.UUID

/**
 * The content of an event or a snapshot: JSON text or bytes, kept byte for byte. It is checked when it is appended,
 * before anything is written.
 */
public class Payload private constructor(private val given: String?, private val raw: ByteArray?, isBytes: Boolean) {
    /** Whether the content is JSON text. */
    public val isJson: Boolean = !isBytes

    /** `application/json` or `application/octet-stream`. */
    public val contentType: String get() = if (isJson) "application/json" else "application/octet-stream"

    /**
     * The JSON text, byte for byte as it was appended. It is decoded on the first access. Throws
     * [IllegalStateException] for bytes.
     */
    public val text: String by lazy(LazyThreadSafetyMode.PUBLICATION) {
        check(isJson) { "a payload of bytes has no text: use bytes" }
        given ?: String(stored(), Charsets.UTF_8)
    }

    /** A copy of the bytes, for JSON (as UTF-8) and for bytes. */
    public val bytes: ByteArray get() = stored().copyOf()

    private fun stored(): ByteArray = raw ?: given.orEmpty().toByteArray()

    internal fun write(frame: RequestWriter) {
        frame.flag(!isJson)
        if (given != null) frame.text(given, "data") else frame.bytes(stored())
    }

    override fun equals(other: Any?): Boolean = other is Payload && isJson == other.isJson && stored().contentEquals(other.stored())

    override fun hashCode(): Int = stored().contentHashCode()

    /** Payloads can be personal data, so only the kind and the length are shown. */
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
 * An event to append, which represents one occurrence. It gets its [id] when it is made, so an append of the same Event
 * can be repeated safely. Make a new one for each occurrence.
 *
 * @property type what happened; types that begin with `$` belong to the store and are refused
 * @property data the content; the default is `{}`
 * @property metadata the text of a JSON object beside the content; the default is `{}`
 * @property tags a set of labels, in the order given
 * @property id the id of the occurrence; by default a new one is made
 * @property schema the name of the shape of [data], chosen by its author
 */
public class Event @JvmOverloads constructor(
    public val type: String,
    public val data: Payload = Payload.EMPTY,
    public val metadata: String = "{}",
    tags: List<String> = emptyList(),
    public val id: UUID = Ids.next(),
    public val schema: String? = null,
) {
    public val tags: List<String> = fixed(tags)

    /** The same event with this metadata, the text of a JSON object. */
    public fun withMetadata(jsonObject: String): Event = changed(metadata = jsonObject)

    /** The same event with these tags. */
    public fun withTags(vararg tags: String): Event = changed(tags = tags.toList())

    /** The same event with this id. */
    public fun withId(id: UUID): Event = changed(id = id)

    /** The same event with this name of the shape of its data. */
    public fun withSchema(schema: String): Event = changed(schema = schema)

    internal fun changed(data: Payload = this.data, metadata: String = this.metadata, tags: List<String> = this.tags, id: UUID = this.id, schema: String? = this.schema): Event =
        Event(type, data, metadata, tags, id, schema)

    internal fun write(frame: RequestWriter) {
        frame.text(type, "type")
        data.write(frame)
        frame.text(metadata, "metadata")
        frame.texts(tags, "tag")
        frame.uuid(id)
        frame.optional(schema) { frame.text(it, "schema") }
    }

    private fun fields() = listOf("type" to type, "data" to data, "metadata" to metadata, "tags" to tags, "id" to id, "schema" to schema)

    override fun equals(other: Any?): Boolean = other is Event && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("Event", fields())

    public companion object {
        /** An event whose data is JSON text, which is kept byte for byte. */
        @JvmStatic
        public fun json(type: String, text: String): Event = Event(type, Payload.json(text))

        /** An event whose data is JSON text as UTF-8, which is kept byte for byte. */
        @JvmStatic
        public fun json(type: String, utf8: ByteArray): Event = Event(type, Payload.json(utf8))

        /** An event whose data is bytes. */
        @JvmStatic
        public fun bytes(type: String, bytes: ByteArray): Event = Event(type, Payload.bytes(bytes))

        /**
         * An event whose data is [value] as compact JSON, by kotlinx.serialization, which must be a dependency of the
         * application.
         */
        @JvmSynthetic
        @JvmName("ofSerializable")
        public inline fun <reified T> of(type: String, value: T): Event = Event(type, encodePayload(value))

        /**
         * An event whose data is [value] as compact JSON, by Jackson, which must be a dependency of the application.
         */
        @JvmStatic
        @JvmName("of")
        public fun ofBean(type: String, value: Any?): Event = Event(type, Jackson.encode(value))
    }
}

/**
 * A recorded event.
 *
 * @property stream the stream it belongs to
 * @property version its number in the stream: 1, 2, 3, and so on without gaps
 * @property position its number in the log; positions grow, and gaps have no meaning
 * @property id the id of the occurrence
 * @property type what happened
 * @property data the content, byte for byte as it was accepted
 * @property metadata the text of a JSON object, byte for byte as it was accepted
 * @property tags labels, in the order given
 * @property schema the name of the shape of [data], chosen by its author
 * @property recordedAt when it was recorded, in microseconds; it informs, and is never an order
 */
public class RecordedEvent internal constructor(
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
    /**
     * A recorded event, for tests of code that takes one.
     *
     * @param event what was appended
     */
    @JvmOverloads
    public constructor(stream: String, version: Long, position: Long, event: Event, recordedAt: Instant = Instant.now().truncatedTo(ChronoUnit.MICROS)) :
        this(stream, version, position, event.id, event.type, event.data, event.metadata, event.tags, event.schema, recordedAt)

    /** `application/json` or `application/octet-stream`. */
    public val contentType: String get() = data.contentType

    private fun fields() = listOf("stream" to stream, "version" to version, "position" to position, "id" to id, "type" to type, "data" to data, "metadata" to metadata, "tags" to tags, "schema" to schema, "recordedAt" to recordedAt)

    override fun equals(other: Any?): Boolean = other is RecordedEvent && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("RecordedEvent", fields())

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
 * An event that was recorded elsewhere, to import with its stream, version, id and time.
 *
 * @property stream the stream it belongs to
 * @property event the event; types of the store (`$…`) are accepted too
 * @property version its version there; the default is the stream's next one
 * @property recordedAt when it was recorded, rounded down to the microsecond; the default is now
 */
public class ImportEvent @JvmOverloads constructor(
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

    private fun fields() = listOf("stream" to stream, "event" to event, "version" to version, "recordedAt" to recordedAt)

    override fun equals(other: Any?): Boolean = other is ImportEvent && fields() == other.fields()

    override fun hashCode(): Int = fields().hashCode()

    override fun toString(): String = described("ImportEvent", fields())
}

private const val MICROS = 1_000_000L
private const val MICRO_NANOS = 1_000L

private fun instantOfMicros(micros: Long): Instant = Instant.ofEpochSecond(Math.floorDiv(micros, MICROS), Math.floorMod(micros, MICROS) * MICRO_NANOS)

/** Times that do not fit 64 bits of microseconds become the largest that fit, which core refuses. */
private fun microsOf(time: Instant): Long = try {
    Math.addExact(Math.multiplyExact(time.epochSecond, MICROS), time.nano / MICRO_NANOS)
} catch (_: ArithmeticException) {
    if (time.epochSecond < 0) Long.MIN_VALUE else Long.MAX_VALUE
}
