package dev.streamkeep;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/** The events of a read or a subscription as futures, in order and in batches. Request one batch at a time. */
public final class AsyncEvents implements EventReader {
    private final Reading reading;
    private final Consumer<? super EventReader> onCaughtUp;
    private volatile boolean caughtUp;

    AsyncEvents(Reading reading, Consumer<? super EventReader> onCaughtUp) {
        this.reading = reading;
        this.onCaughtUp = onCaughtUp;
        reading.stopWhenCollected(this);
    }

    /**
     * The next events, at least one; an empty list at the end. If reading fails, the future fails with a
     * {@link StreamkeepException}, and the end follows.
     */
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
        // The batch tells only that the reader has caught up. An empty list would mean the end.
        return batch.getEvents().isEmpty() && !batch.getEnded() ? next() : CompletableFuture.completedFuture(batch.getEvents());
    }

    /**
     * Passes each event to {@code consumer}, one after the other in order. The future completes at the end, or fails if
     * {@code consumer} or reading throws.
     */
    public CompletableFuture<Void> forEach(Consumer<? super RecordedEvent> consumer) {
        var done = new CompletableFuture<Void>();
        step(consumer, done);
        return done;
    }

    private void step(Consumer<? super RecordedEvent> consumer, CompletableFuture<Void> done) {
        // Each batch continues on another thread, so that ready batches do not grow the stack.
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
