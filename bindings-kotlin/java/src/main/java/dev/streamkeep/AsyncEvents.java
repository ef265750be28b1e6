package dev.streamkeep;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/** Events being read or followed without a thread that waits, in order, batch by batch. Ask for one batch at a time. */
public final class AsyncEvents implements EventReader {
    private final Reading reading;
    private final Consumer<? super EventReader> onCaughtUp;
    private volatile boolean caughtUp;

    AsyncEvents(Reading reading, Consumer<? super EventReader> onCaughtUp) {
        this.reading = reading;
        this.onCaughtUp = onCaughtUp;
        reading.stopWhenCollected(this);
    }

    /** The next events, at least one; none at all at the end. Fails with a {@link StreamkeepException} where reading fails, and ends after that. */
    public CompletableFuture<List<RecordedEvent>> next() {
        if (caughtUp) {
            caughtUp = false;
            onCaughtUp.accept(this);
        }
        return reading.isOver() ? CompletableFuture.completedFuture(List.of()) : reading.getChannel().future(reading::next).thenCompose(this::took);
    }

    private CompletableFuture<List<RecordedEvent>> took(Batch taken) {
        var batch = reading.took(taken);
        caughtUp = batch.getCaughtUp() && onCaughtUp != null;
        // Nothing but the news of having caught up: an empty list would be the end.
        return batch.getEvents().isEmpty() && !batch.getEnded() ? next() : CompletableFuture.completedFuture(batch.getEvents());
    }

    /** Hands on each event, in order, one after the other, until the end; the future completes then, or fails with what {@code consumer} or the reading throws. */
    public CompletableFuture<Void> forEach(Consumer<? super RecordedEvent> consumer) {
        var done = new CompletableFuture<Void>();
        step(consumer, done);
        return done;
    }

    private void step(Consumer<? super RecordedEvent> consumer, CompletableFuture<Void> done) {
        // By another thread each time, so that batches that are there already do not pile up on the stack.
        next().whenCompleteAsync((events, failure) -> {
            try {
                if (failure != null) {
                    throw failure;
                }
                events.forEach(consumer);
                if (events.isEmpty() || done.isDone()) {
                    close();
                    done.complete(null);
                } else {
                    step(consumer, done);
                }
            } catch (Throwable thrown) {
                close();
                done.completeExceptionally(thrown);
            }
        });
    }

    @Override
    public void close() {
        reading.stop();
    }
}
