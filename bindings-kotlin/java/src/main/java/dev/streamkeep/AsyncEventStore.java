package dev.streamkeep;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * A store that returns futures. {@link BlockingEventStore} is for threads that may block; Kotlin has
 * {@code EventStore}.
 *
 * <p>A failed call completes its future with a {@link StreamkeepException}. Cancelling the future of an append
 * withdraws the append if it still waits; one that was sent runs to its end.
 */
public final class AsyncEventStore {
    private final Calls calls;

    private AsyncEventStore(Calls calls) {
        this.calls = calls;
    }

    /**
     * Opens a store with the default options: {@code memory:}, {@code memory:NAME}, {@code sqlite:PATH},
     * {@code postgres://…}, {@code mongodb://…} or {@code mongodb+srv://…}.
     */
    public static CompletableFuture<AsyncEventStore> open(String url) {
        return open(url, OpenOptions.defaults());
    }

    /**
     * Opens a store.
     *
     * @throws ConfigException if the URL, an option or the configuration of the server is wrong
     * @throws UnavailableException if the database cannot be reached
     */
    public static CompletableFuture<AsyncEventStore> open(String url, OpenOptions options) {
        return Calls.Companion.openFuture(url, options, AsyncEventStore::new);
    }

    /** Appends events to a stream at any version. */
    public CompletableFuture<AppendResult> append(String stream, List<Event> events) {
        return append(stream, events, AppendOptions.defaults());
    }

    /** Appends events to a stream that is at the expected version. */
    public CompletableFuture<AppendResult> append(String stream, List<Event> events, Expected expected) {
        return append(stream, events, AppendOptions.defaults().withExpected(expected));
    }

    /**
     * Appends events to a stream: all of them or none, with consecutive versions. Acknowledged means durable.
     *
     * <p>Repeating an append of the same events is safe: the result is then that of the first time, marked
     * {@code repeated}.
     *
     * @throws ConflictException if the stream is not at the expected version
     * @throws DuplicateEventException if an id is known with other content or at another place
     * @throws UnavailableException past the deadline, with the outcome
     */
    public CompletableFuture<AppendResult> append(String stream, List<Event> events, AppendOptions options) {
        return calls.getChannel().future(() -> calls.append(stream, events, options));
    }

    /**
     * Imports events that were recorded elsewhere. Each 1,000 (or 8 MiB) are written completely or not at all. Events
     * that are stored already are passed over.
     */
    public CompletableFuture<ImportResult> importEvents(List<ImportEvent> events) {
        return importEvents(events, null);
    }

    /** Imports events that were recorded elsewhere, all of them within {@code timeout}. */
    public CompletableFuture<ImportResult> importEvents(List<ImportEvent> events, Duration timeout) {
        return calls.getChannel().future(() -> calls.importEvents(events, timeout));
    }

    /** Reads a whole stream, in the order of versions. */
    public AsyncEvents read(String stream) {
        return read(stream, ReadOptions.defaults());
    }

    /** Reads the events of a stream page by page, in the order of versions. An absent stream has none. */
    public AsyncEvents read(String stream, ReadOptions options) {
        return new AsyncEvents(calls.read(stream, options), null);
    }

    /** Reads the whole log, in the order of positions. */
    public AsyncEvents readAll() {
        return readAll(ReadAllOptions.defaults());
    }

    /** Reads the events of the log that match a query, in the order of positions. */
    public AsyncEvents readAll(ReadAllOptions options) {
        return new AsyncEvents(calls.readAll(options), null);
    }

    /** Reads the first page of the log. */
    public CompletableFuture<Page> readPage() {
        return readPage(ReadPageOptions.defaults());
    }

    /** Reads one page of the log and tells how far it looked. */
    public CompletableFuture<Page> readPage(ReadPageOptions options) {
        return calls.getChannel().future(() -> calls.readPage(options));
    }

    /** Subscribes to the whole log, from its beginning. */
    public AsyncEvents subscribe() {
        return subscribe(SubscribeOptions.defaults());
    }

    /**
     * Subscribes to the log: gives every committed event that matches, once, in the order of positions. It first
     * catches up and then goes on with new events, whichever process writes them.
     */
    public AsyncEvents subscribe(SubscribeOptions options) {
        return new AsyncEvents(calls.subscribe(options), options.onCaughtUp());
    }

    /**
     * Saves a snapshot, and replaces one with the same stream, schema and version. An older snapshot never replaces a
     * newer one.
     */
    public CompletableFuture<Void> saveSnapshot(Snapshot snapshot) {
        return saveSnapshot(snapshot, null);
    }

    /** Saves a snapshot within {@code timeout}. */
    public CompletableFuture<Void> saveSnapshot(Snapshot snapshot, Duration timeout) {
        return calls.getChannel().future(() -> calls.saveSnapshot(snapshot, timeout)).thenAccept(done -> { });
    }

    /** Loads the newest valid snapshot of a stream and schema. */
    public CompletableFuture<Optional<Snapshot>> loadSnapshot(String stream, String schema) {
        return calls.getChannel().future(() -> calls.loadSnapshot(stream, schema, null, null)).thenApply(Optional::ofNullable);
    }

    /** Loads the newest valid snapshot of a stream and schema, at or before a version. */
    public CompletableFuture<Optional<Snapshot>> loadSnapshot(String stream, String schema, long atOrBefore) {
        return loadSnapshot(stream, schema, atOrBefore, null);
    }

    /** Loads the newest valid snapshot of a stream and schema, at or before a version, within {@code timeout}. */
    public CompletableFuture<Optional<Snapshot>> loadSnapshot(String stream, String schema, long atOrBefore, Duration timeout) {
        return calls.getChannel().future(() -> calls.loadSnapshot(stream, schema, atOrBefore, timeout)).thenApply(Optional::ofNullable);
    }

    /** Returns the last event of a stream, if there is one. An acknowledged append is seen at once. */
    public CompletableFuture<Optional<RecordedEvent>> last(String stream) {
        return last(stream, null);
    }

    /** Returns the last event of a stream, if there is one, within {@code timeout}. */
    public CompletableFuture<Optional<RecordedEvent>> last(String stream, Duration timeout) {
        return calls.getChannel().future(() -> calls.last(stream, timeout)).thenApply(Optional::ofNullable);
    }

    /** Returns the position of the last committed event that is safe to read; 0 if the log is empty. */
    public CompletableFuture<Long> head() {
        return head(null);
    }

    /** Returns the position of the last committed event that is safe to read, within {@code timeout}. */
    public CompletableFuture<Long> head(Duration timeout) {
        return calls.getChannel().future(() -> calls.head(timeout));
    }

    /**
     * Closes the store: waits for calls in flight, then frees everything. Closing twice is fine; any later use is a
     * {@link ClosedException}.
     */
    public CompletableFuture<Void> close() {
        return calls.getChannel().future(() -> calls.close()).thenAccept(done -> { });
    }
}
