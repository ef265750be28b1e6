package dev.streamkeep;

/** A read or a subscription. Closing it stops the work behind it; closing twice is fine. */
public interface EventReader extends AutoCloseable {
    /** Stops reading, from any thread. A caller that waits for the next event gets the end. */
    @Override
    void close();
}
