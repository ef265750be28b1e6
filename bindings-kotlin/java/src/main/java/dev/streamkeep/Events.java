package dev.streamkeep;

import java.util.Collections;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/**
 * The events of a read or a subscription, which a thread iterates in order, page by page.
 *
 * <p>It can be iterated once. Close it, best by try-with-resources, unless it is read to its end. Otherwise it is
 * closed only when it is collected.
 */
public final class Events implements EventReader, Iterable<RecordedEvent> {
    private final Reading reading;
    private final Consumer<? super EventReader> onCaughtUp;
    private final AtomicBoolean iterated = new AtomicBoolean();
    private volatile boolean closed;

    Events(Reading reading, Consumer<? super EventReader> onCaughtUp) {
        this.reading = reading;
        this.onCaughtUp = onCaughtUp;
        reading.stopWhenCollected(this);
    }

    /**
     * The events. If reading fails, the iterator throws a {@link StreamkeepException} and then ends.
     *
     * @throws IllegalStateException if they are iterated already
     */
    @Override
    public Iterator<RecordedEvent> iterator() {
        if (iterated.getAndSet(true)) {
            throw new IllegalStateException("these events are iterated already: read again for another iteration");
        }
        return new Batches();
    }

    @Override
    public void close() {
        closed = true;
        reading.stop();
    }

    private final class Batches implements Iterator<RecordedEvent> {
        private Iterator<RecordedEvent> events = Collections.emptyIterator();
        private boolean caughtUp;
        /** The event that {@code hasNext} has promised. It is given even if the reader is closed in between. */
        private RecordedEvent promised;

        @Override
        public boolean hasNext() {
            if (promised == null && advance()) {
                promised = events.next();
            }
            return promised != null;
        }

        private boolean advance() {
            while (!closed && !events.hasNext()) {
                if (caughtUp) {
                    caughtUp = false;
                    onCaughtUp.accept(Events.this);
                }
                if (reading.isOver()) {
                    return false;
                }
                take();
            }
            return !closed;
        }

        private void take() {
            try {
                var batch = reading.took(reading.getChannel().block(reading.next()));
                events = batch.getEvents().iterator();
                caughtUp = batch.getCaughtUp() && onCaughtUp != null;
            } catch (RuntimeException failed) {
                close();
                throw failed;
            }
        }

        @Override
        public RecordedEvent next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            var event = promised;
            promised = null;
            return event;
        }
    }
}
