package dev.streamkeep;

import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/** The events of a read or a subscription as futures, in order and in batches. Request one batch at a time. */
public final class AsyncEvents implements EventReader {
    private final Reading reading;
    private final Consumer<? super EventReader> onCaughtUp;
    private final Object lock = new Object();
    /** Who waits for a batch, in order. */
    private final ArrayDeque<Next> waiting = new ArrayDeque<>();
    /** Whether a batch is on its way. */
    private boolean asking;
    /** The batch that has arrived and that nobody has got. */
    private CompletableFuture<List<RecordedEvent>> arrived;
    private volatile boolean caughtUp;
    private volatile boolean closed;

    AsyncEvents(Reading reading, Consumer<? super EventReader> onCaughtUp) {
        this.reading = reading;
        this.onCaughtUp = onCaughtUp;
        reading.stopWhenCollected(this);
    }

    /**
     * The next events, at least one; an empty list at the end. If reading fails, the future fails with a
     * {@link StreamkeepException}, and the end follows. If the future is cancelled, or completed by a timeout, the next
     * call gets its events.
     */
    public CompletableFuture<List<RecordedEvent>> next() {
        var next = new Next();
        synchronized (lock) {
            waiting.removeIf(earlier -> earlier.settled.get());
            waiting.add(next);
        }
        handOn();
        return next;
    }

    /** Gives the batch that has arrived to the first who waits, and asks for one while somebody waits. */
    private void handOn() {
        while (true) {
            Next first = null;
            CompletableFuture<List<RecordedEvent>> batch = null;
            synchronized (lock) {
                if (waiting.isEmpty() || asking) {
                    return;
                }
                if (arrived == null) {
                    asking = true;
                } else {
                    first = waiting.remove();
                    if (!first.settle()) {
                        continue;
                    }
                    batch = arrived;
                    arrived = null;
                }
            }
            if (first == null) {
                var asked = ask();
                asked.whenComplete((events, failure) -> {
                    synchronized (lock) {
                        asking = false;
                        arrived = asked;
                    }
                    handOn();
                });
            } else {
                first.give(closed ? CompletableFuture.completedFuture(List.of()) : batch);
            }
        }
    }

    private CompletableFuture<List<RecordedEvent>> ask() {
        try {
            if (caughtUp) {
                caughtUp = false;
                onCaughtUp.accept(this);
            }
        } catch (Throwable thrown) {
            return CompletableFuture.failedFuture(thrown);
        }
        return reading.isOver() ? CompletableFuture.completedFuture(List.of()) : reading.getChannel().future(reading::next).thenCompose(this::took);
    }

    private CompletableFuture<List<RecordedEvent>> took(Batch taken) {
        var batch = reading.took(taken);
        caughtUp = batch.getCaughtUp() && onCaughtUp != null;
        // The batch tells only that the reader has caught up. An empty list would mean the end.
        return batch.getEvents().isEmpty() && !batch.getEnded() ? ask() : CompletableFuture.completedFuture(batch.getEvents());
    }

    /**
     * Passes each event to {@code consumer}, one after the other in order, on the thread that takes the store's answers.
     * The future completes at the end, or fails if {@code consumer} or reading throws. Cancelling it ends the reading.
     */
    public CompletableFuture<Void> forEach(Consumer<? super RecordedEvent> consumer) {
        return forEach(consumer, Runnable::run);
    }

    /**
     * Passes each event to {@code consumer}, one after the other in order, in tasks of {@code executor}. The future
     * completes at the end, or fails if {@code consumer}, {@code executor} or reading throws. Cancelling it ends the
     * reading.
     */
    public CompletableFuture<Void> forEach(Consumer<? super RecordedEvent> consumer, Executor executor) {
        var pass = new Pass(consumer, executor);
        pass.done.whenComplete((end, failure) -> close());
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
                for (var event : events) {
                    if (closed) {
                        break;
                    }
                    consumer.accept(event);
                }
                if (events.isEmpty() || closed) {
                    end(null);
                } else {
                    request();
                }
            } catch (Throwable thrown) {
                end(thrown);
            }
        }

        private void end(Throwable failure) {
            if (failure == null) {
                done.complete(null);
            } else {
                done.completeExceptionally(failure);
            }
        }
    }

    /** Whether the end is all that follows the batches that were given. */
    boolean isAtEnd() {
        return reading.isOver();
    }

    /** A batch for one caller. Whoever settles it, the batch or a caller that gives up, decides who gets the events. */
    private static final class Next extends CompletableFuture<List<RecordedEvent>> {
        private final AtomicBoolean settled = new AtomicBoolean();

        boolean settle() {
            return settled.compareAndSet(false, true);
        }

        void give(CompletableFuture<List<RecordedEvent>> batch) {
            batch.whenComplete((events, failure) -> {
                if (failure == null) {
                    super.complete(events);
                } else {
                    super.completeExceptionally(failure instanceof CompletionException && failure.getCause() != null ? failure.getCause() : failure);
                }
            });
        }

        @Override
        public boolean complete(List<RecordedEvent> events) {
            return settle() && super.complete(events);
        }

        @Override
        public boolean completeExceptionally(Throwable failure) {
            return settle() && super.completeExceptionally(failure);
        }

        @Override
        public boolean cancel(boolean mayInterrupt) {
            return settle() ? super.cancel(mayInterrupt) : isCancelled();
        }

        @Override
        public <T> CompletableFuture<T> newIncompleteFuture() {
            return new CompletableFuture<>();
        }
    }

    @Override
    public void close() {
        closed = true;
        reading.stop();
    }
}
