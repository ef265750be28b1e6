package dev.streamkeep

import java.time.Duration
import java.time.Instant
import java.time.temporal.ChronoUnit
import java.util.Collections
import java.util.UUID

/*
 * Frames: the byte format of values between the JVM and core. Integers are big-endian, texts and lists start with their
 * length, and optional values start with a flag. The native side is `frame.rs`.
 */

/** Writes one request: its head, which is filled in last, and then its values. */
internal class RequestWriter(private val code: Int) {
    private var bytes = ByteArray(INITIAL_BYTES)
    private var size = HEAD_BYTES

    /** The name of the call, as every language's errors have it. */
    val operation: String? get() = Operation.name(code)

    val isClose: Boolean get() = operation == "close"

    private fun room(count: Int): Int {
        val start = size
        if (bytes.size - start < count) {
            val wanted = maxOf(start.toLong() + count, bytes.size * 2L)
            if (start.toLong() + count > MOST_BYTES) throw LimitExceededException("bytes of a request", MOST_BYTES, start.toLong() + count, circumstances = Circumstances(operation = operation))
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

    fun text(value: String, argument: String): Unit = bytes(utf8(value, argument, operation))

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

    /** In microseconds, rounded up, so that a short time does not become zero. */
    fun optionalDuration(value: Duration?): Unit = optional(value) { duration ->
        long(
            when {
                duration.seconds >= MOST_SECONDS -> Long.MAX_VALUE
                duration.seconds <= -MOST_SECONDS -> Long.MIN_VALUE
                else -> ChronoUnit.MICROS.between(Instant.EPOCH, Instant.EPOCH.plus(duration).plusNanos(ROUND_UP_NANOS))
            },
        )
    }

    /** The bytes of the request, with the id of its call. */
    fun toBytes(call: Long): ByteArray {
        putLong(0, call)
        bytes[Long.SIZE_BYTES] = code.toByte()
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

        /**
         * Far above every limit of the contract, so that core names the exceeded one, and far below the largest array.
         */
        const val MOST_BYTES = 1L shl 30
        const val MOST_SECONDS = 1L shl 40
        const val ROUND_UP_NANOS = 999L
    }
}

/**
 * A text as UTF-8. Text that is not valid Unicode is refused here, because encoding would silently replace its lone
 * surrogates.
 */
internal fun utf8(value: String, argument: String, operation: String?): ByteArray {
    var at = 0
    while (at < value.length) {
        val unit = value[at++]
        if (!unit.isSurrogate()) continue
        if (!unit.isHighSurrogate() || at == value.length || !value[at].isLowSurrogate()) {
            throw InvalidArgumentException(argument, "$argument has a lone surrogate, which is not valid Unicode", Circumstances(operation = operation))
        }
        at++
    }
    return value.toByteArray()
}

/** Reads values without separators. */
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

    /** A reader of a list of bytes, which are not copied. */
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
        val items = ArrayList<T>(length)
        repeat(length) { items.add(item()) }
        return Collections.unmodifiableList(items)
    }

    inline fun <T> optional(value: () -> T): T? = if (flag()) value() else null

    private companion object {
        const val BYTE_MASK = 0xff
    }
}
