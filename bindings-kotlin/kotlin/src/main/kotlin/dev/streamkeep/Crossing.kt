package dev.streamkeep

/**
 * The frequent calls of the native library, by JNI: `native.rs`. The rare ones are functions that UniFFI generates from
 * `control.rs`, of which a call costs ten times as much.
 */
internal object Crossing {
    init {
        NativeLibrary.load()
    }

    /** Loads the library, if it is not loaded yet. */
    fun ensureLoaded() = Unit

    @JvmStatic
    external fun submit(channel: Long, frame: ByteArray): Boolean

    @JvmStatic
    external fun take(channel: Long): ByteArray?
}
