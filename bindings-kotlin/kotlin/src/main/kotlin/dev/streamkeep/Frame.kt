package dev.streamkeep

import java.time.Duration
import java.time.Instant
import java.time.temporal.ChronoUnit
import java.util.UUID

/*
 * Frames: how values lie in the bytes that cross. Integers are big-endian, texts and lists carry their length, what may be absent a flag.
 * Its twin is `frame.rs`.
 */

/** Writes one request: its head, which is filled in last, and then values one behind the other. */
internal class RequestWriter(private val operation: Int) {
    private var bytes = ByteArray(INITIAL_BYTES)
    private var size = HEAD_BYTES

    private fun room(count: Int): Int {
        val start = size
        if (bytes.size - start < count) {
            val wanted = maxOf(start.toLong() + count, bytes.size * 2L)
            if (start.toLong() + count > MOST_BYTES) throw LimitExceededException("bytes of a request", MOST_BYTES, start.toLong() + count)
            bytes = bytes.copyOf(minOf(wanted, MOST_BYTES).toInt())
        }
        size = start + count
        return start
    }

    fun byte(value: Int) {
        val at = room(1)
        bytes[at] = value.toByte()
    }

    fun flag(value: Boolean): Unit = byte(if (value) 1 else 0)

    fun int(value: Int): Unit = putInt(room(Int.SIZE_BYTES), value)

    fun long(value: Long): Unit = putLong(room(Long.SIZE_BYTES), value)

    fun bytes(value: ByteArray) {
        int(value.size)
        val at = room(value.size)
        value.copyInto(bytes, at)
    }

    fun text(value: String, argument: String): Unit = bytes(utf8(value, argument))

    fun texts(values: List<String>, argument: String) {
        int(values.size)
        values.forEach { text(it, argument) }
    }

    fun uuid(value: UUID) {
        long(value.mostSignificantBits)
        long(value.leastSignificantBits)
    }

    inline fun <T : Any> optional(value: T?, write: (T) -> Unit) {
        flag(value != null)
        if (value != null) write(value)
    }

    fun optionalLong(value: Long?): Unit = optional(value) { long(it) }

    /** In microseconds, rounded up: no time at all is not what a short time means. */
    fun optionalDuration(value: Duration?): Unit = optional(value) { duration ->
        long(if (duration.seconds >= MOST_SECONDS) Long.MAX_VALUE else ChronoUnit.MICROS.between(Instant.EPOCH, Instant.EPOCH.plus(duration).plusNanos(ROUND_UP_NANOS)))
    }

    /** The request's bytes, under the id of its call. */
    fun toBytes(call: Long): ByteArray {
        putLong(0, call)
        bytes[Long.SIZE_BYTES] = operation.toByte()
        putInt(Long.SIZE_BYTES + 1, size - HEAD_BYTES)
        return bytes.copyOf(size)
    }

    private fun putInt(at: Int, value: Int) {
        for (i in 0 until Int.SIZE_BYTES) bytes[at + i] = (value shr (Int.SIZE_BITS - Byte.SIZE_BITS * (i + 1))).toByte()
    }

    private fun putLong(at: Int, value: Long) {
        for (i in 0 until Long.SIZE_BYTES) bytes[at + i] = (value shr (Long.SIZE_BITS - Byte.SIZE_BITS * (i + 1))).toByte()
    }

    private companion object {
        const val INITIAL_BYTES = 256
        const val HEAD_BYTES = Long.SIZE_BYTES + 1 + Int.SIZE_BYTES

        /** Far above every limit of the contract, so that core says which one was passed, and far below what an array holds. */
        const val MOST_BYTES = 1L shl 30
        const val MOST_SECONDS = 1L shl 40
        const val ROUND_UP_NANOS = 999L
    }
}

/** A text as UTF-8. One that is no Unicode text is refused here: encoding it would silently replace what is wrong with it. */
internal fun utf8(value: String, argument: String): ByteArray {
    var at = 0
    while (at < value.length) {
        val unit = value[at++]
        if (!unit.isSurrogate()) continue
        if (!unit.isHighSurrogate() || at == value.length || !value[at].isLowSurrogate()) {
            throw InvalidArgumentException(argument, "$argument has half a surrogate pair, which is no Unicode text")
        }
        at++
    }
    return value.toByteArray()
}

/** Reads values one behind the other. */
internal class FrameReader(private val bytes: ByteArray, private var at: Int = 0, private val end: Int = bytes.size) {
    val hasMore: Boolean get() = at < end

    fun byte(): Int = bytes[at++].toInt()

    fun flag(): Boolean = byte() != 0

    fun int(): Int {
        var value = 0
        repeat(Int.SIZE_BYTES) { value = (value shl Byte.SIZE_BITS) or (bytes[at++].toInt() and BYTE_MASK) }
        return value
    }

    fun long(): Long {
        var value = 0L
        repeat(Long.SIZE_BYTES) { value = (value shl Byte.SIZE_BITS) or (bytes[at++].toLong() and BYTE_MASK.toLong()) }
        return value
    }

    /** A reader of the bytes that follow their length; they are not copied. */
    fun part(): FrameReader {
        val length = int()
        val start = at
        at += length
        return FrameReader(bytes, start, at)
    }

    fun bytes(): ByteArray {
        val length = int()
        val start = at
        at += length
        return bytes.copyOfRange(start, at)
    }

    fun text(): String {
        val length = int()
        val start = at
        at += length
        return String(bytes, start, length, Charsets.UTF_8)
    }

    fun uuid(): UUID = UUID(long(), long())

    inline fun <T> list(item: () -> T): List<T> {
        val length = int()
        if (length == 0) return emptyList()
        return ArrayList<T>(length).apply { repeat(length) { add(item()) } }
    }

    inline fun <T> optional(value: () -> T): T? = if (flag()) value() else null

    private companion object {
        const val BYTE_MASK = 0xff
    }
}
