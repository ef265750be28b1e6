package dev.streamkeep

import java.security.SecureRandom
import java.util.UUID

/**
 * Makes event ids, UUIDs of version 7, so that making an event does not load the native library.
 *
 * The first 48 bits are the milliseconds since 1970. A counter of 12 bits follows, which begins anew in each millisecond
 * below its middle, so that the ids of a process always grow. The other 62 bits are the system's randomness.
 */
internal object Ids {
    private val random = SecureRandom()
    private var millis = 0L
    private var counter = 0

    fun next(now: Long = System.currentTimeMillis()): UUID {
        val low = random.nextLong()
        val high = synchronized(this) {
            when {
                now > millis -> start(now, random.nextInt())
                counter == MOST_COUNTER -> start(millis + 1, 0)
                else -> counter++
            }
            (millis shl MILLIS_SHIFT) or VERSION_7 or counter.toLong()
        }
        return UUID(high, (low and VARIANT_MASK) or VARIANT)
    }

    private fun start(at: Long, seed: Int) {
        millis = at
        counter = seed and (MOST_COUNTER / 2)
    }

    private const val MILLIS_SHIFT = 16
    private const val VERSION_7 = 0x7000L
    private const val MOST_COUNTER = 0xfff

    private const val VARIANT_MASK = 0x3fff_ffff_ffff_ffffL
    private const val VARIANT = Long.MIN_VALUE
}
