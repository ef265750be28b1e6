package dev.streamkeep;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicInteger;
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
     * Passes each event to {@code consumer}, one after the other in order, on the thread that takes the store's answers.
     * The future completes at the end, or fails if {@code consumer} or reading throws.
     */
    public CompletableFuture<Void> forEach(Consumer<? super RecordedEvent> consumer) {
        return forEach(consumer, Runnable::run);
    }

    /**
     * Passes each event to {@code consumer}, one after the other in order, in tasks of {@code executor}. The future
     * completes at the end, or fails if {@code consumer}, {@code executor} or reading throws.
     */
    public CompletableFuture<Void> forEach(Consumer<? super RecordedEvent> consumer, Executor executor) {
        var pass = new Pass(consumer, executor);
        pass.request();
        return pass.done;
    }

    /**
     * These events for reactive libraries, on the thread that takes the store's answers. They are read as the one
     * subscriber requests them, and cancelling ends the work behind them.
     */
    public Flow.Publisher<RecordedEvent> publisher() {
        return publisher(Runnable::run);
    }

    /** These events for reactive libraries, in tasks of {@code executor}. */
    public Flow.Publisher<RecordedEvent> publisher(Executor executor) {
        return new EventPublisher(this, executor);
    }

    /** One batch after the other to a consumer. Batches that are there already do not grow the stack. */
    private final class Pass {
        private final Consumer<? super RecordedEvent> consumer;
        private final Executor executor;
        private final CompletableFuture<Void> done = new CompletableFuture<>();
        /** The requests to be made; the thread that raises it from 0 makes them. */
        private final AtomicInteger requests = new AtomicInteger();

        Pass(Consumer<? super RecordedEvent> consumer, Executor executor) {
            this.consumer = consumer;
            this.executor = executor;
        }

        void request() {
            if (requests.getAndIncrement() == 0) {
                do {
                    next().whenComplete(this::hand);
                } while (requests.decrementAndGet() != 0);
            }
        }

        private void hand(List<RecordedEvent> events, Throwable failure) {
            try {
                if (failure != null) {
                    end(failure);
                } else {
                    executor.execute(() -> take(events));
                }
            } catch (Throwable refused) {
                end(refused);
            }
        }

        private void take(List<RecordedEvent> events) {
            try {
                events.forEach(consumer);
                if (events.isEmpty() || done.isDone()) {
                    end(null);
                } else {
                    request();
                }
            } catch (Throwable thrown) {
                end(thrown);
            }
        }

        private void end(Throwable failure) {
            close();
            if (failure == null) {
                done.complete(null);
            } else {
                done.completeExceptionally(failure);
            }
        }
    }

    @Override
    public void close() {
        reading.stop();
    }
}
