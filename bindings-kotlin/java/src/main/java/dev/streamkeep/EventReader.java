package dev.streamkeep;

/** Events being read or followed. Closing it stops the work behind it; closing again is fine. */
public interface EventReader extends AutoCloseable {
    /** Stops reading: whoever waits for what comes next gets the end. Can be called from any thread. */
    @Override
    void close();
}
