package dev.streamkeep;

import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** Gives the events of a reader to one subscriber, as many as it has requested. */
final class EventPublisher implements Flow.Publisher<RecordedEvent> {
    private final AsyncEvents events;
    private final Executor executor;
    private final AtomicBoolean taken = new AtomicBoolean();

    EventPublisher(AsyncEvents events, Executor executor) {
        this.events = events;
        this.executor = executor;
    }

    @Override
    public void subscribe(Flow.Subscriber<? super RecordedEvent> subscriber) {
        Objects.requireNonNull(subscriber);
        if (taken.getAndSet(true)) {
            subscriber.onSubscribe(NOTHING);
            subscriber.onError(new IllegalStateException("these events have a subscriber already: read or subscribe again"));
        } else {
            subscriber.onSubscribe(new Delivery(subscriber));
        }
    }

    private static final Flow.Subscription NOTHING = new Flow.Subscription() {
        @Override
        public void request(long events) {
        }

        @Override
        public void cancel() {
        }
    };

    /** One thread at a time delivers: the one that raises {@code work} from 0. Only it uses the plain fields. */
    private final class Delivery implements Flow.Subscription {
        private final Flow.Subscriber<? super RecordedEvent> subscriber;
        private final AtomicLong requested = new AtomicLong();
        private final AtomicInteger work = new AtomicInteger();
        private volatile boolean isCancelled;
        private volatile Throwable failure;
        /** The batch that was asked for; {@code null} while it is on its way. */
        private volatile List<RecordedEvent> arrived;

        private Iterator<RecordedEvent> batch = Collections.emptyIterator();
        private boolean isWaiting;
        private boolean isOver;

        Delivery(Flow.Subscriber<? super RecordedEvent> subscriber) {
            this.subscriber = subscriber;
        }

        @Override
        public void request(long more) {
            if (more <= 0) {
                failure = new IllegalArgumentException("the number of requested events must be positive: " + more);
            } else {
                requested.accumulateAndGet(more, (before, added) -> before + added < 0 ? Long.MAX_VALUE : before + added);
            }
            goOn();
        }

        @Override
        public void cancel() {
            isCancelled = true;
            events.close();
        }

        private void goOn() {
            if (work.getAndIncrement() == 0) {
                try {
                    executor.execute(this::deliver);
                } catch (Throwable refused) {
                    // There is no thread of the executor, so it is told on this one.
                    failure = refused;
                    deliver();
                }
            }
        }

        private void deliver() {
            int done = 0;
            do {
                done = work.get();
                while (!isOver && step()) {
                    // Each step delivers an event or takes a batch.
                }
            } while (!work.compareAndSet(done, 0));
        }

        /** Returns whether there may be more to do now. */
        private boolean step() {
            if (isCancelled) {
                isOver = true;
                return false;
            }
            if (failure != null) {
                end();
                return false;
            }
            if (batch.hasNext()) {
                return requested.get() > 0 && give(batch.next());
            }
            var next = arrived;
            if (next != null) {
                arrived = null;
                isWaiting = false;
                batch = next.iterator();
                if (next.isEmpty()) {
                    end();
                }
                return true;
            }
            // The end needs no request.
            if (!isWaiting && (requested.get() > 0 || events.isAtEnd())) {
                isWaiting = true;
                events.next().whenComplete(this::arrive);
            }
            return false;
        }

        private void arrive(List<RecordedEvent> next, Throwable failed) {
            if (failed == null) {
                arrived = next;
            } else {
                failure = failed instanceof CompletionException && failed.getCause() != null ? failed.getCause() : failed;
            }
            goOn();
        }

        private boolean give(RecordedEvent event) {
            requested.updateAndGet(before -> before == Long.MAX_VALUE ? before : before - 1);
            try {
                subscriber.onNext(event);
                return true;
            } catch (Throwable thrown) {
                // A subscriber must not throw. It gets nothing any more, and its error is shown.
                isOver = true;
                events.close();
                var thread = Thread.currentThread();
                thread.getUncaughtExceptionHandler().uncaughtException(thread, thrown);
                return false;
            }
        }

        private void end() {
            isOver = true;
            events.close();
            if (failure == null) {
                subscriber.onComplete();
            } else {
                subscriber.onError(failure);
            }
        }
    }
}
