package dev.streamkeep;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * A store that answers with futures. {@link BlockingEventStore} is for threads that may wait; Kotlin has {@code EventStore}.
 *
 * <p>What fails completes its future with a {@link StreamkeepException}. Cancelling the future of an append withdraws it if it is still queued; one sent runs on.
 */
public final class AsyncEventStore {
    private final Calls calls;

    private AsyncEventStore(Calls calls) {
        this.calls = calls;
    }

    /** Opens a store with every option at its default: {@code memory:}, {@code memory:NAME}, {@code sqlite:PATH}, {@code postgres://…}, {@code mongodb://…}, {@code mongodb+srv://…}. */
    public static CompletableFuture<AsyncEventStore> open(String url) {
        return open(url, OpenOptions.defaults());
    }

    /**
     * Opens a store.
     *
     * @throws ConfigException when the URL, an option or the server's set-up is not one to work with
     * @throws UnavailableException when the database cannot be reached
     */
    public static CompletableFuture<AsyncEventStore> open(String url, OpenOptions options) {
        var channel = Channel.Companion.getShared();
        return channel.future(() -> Calls.Companion.open(channel, url, options)).thenApply(AsyncEventStore::new);
    }

    /** Appends events whatever the stream is at. */
    public CompletableFuture<AppendResult> append(String stream, List<Event> events) {
        return append(stream, events, AppendOptions.defaults());
    }

    /** Appends events to a stream that is as expected. */
    public CompletableFuture<AppendResult> append(String stream, List<Event> events, Expected expected) {
        return append(stream, events, AppendOptions.defaults().withExpected(expected));
    }

    /**
     * Appends events to a stream: all of them or none, with consecutive versions. Acknowledged means durable.
     *
     * <p>Repeating an append of the same events is safe: what was done already answers as the first time, {@code repeated}.
     *
     * @throws ConflictException when the stream is not as expected
     * @throws DuplicateEventException when an id is known with other content or in another place
     * @throws UnavailableException past the deadline, with what is known of the outcome
     */
    public CompletableFuture<AppendResult> append(String stream, List<Event> events, AppendOptions options) {
        return calls.getChannel().future(() -> calls.append(stream, events, options));
    }

    /** Takes events recorded elsewhere, whole or not at all per 1,000 (or 8 MiB). What is there already is passed over. */
    public CompletableFuture<ImportResult> importEvents(List<ImportEvent> events) {
        return calls.getChannel().future(() -> calls.importEvents(events));
    }

    /** Reads a whole stream, in version order. */
    public AsyncEvents read(String stream) {
        return read(stream, ReadOptions.defaults());
    }

    /** Reads a stream's events in version order, page by page; an absent stream has none. */
    public AsyncEvents read(String stream, ReadOptions options) {
        return new AsyncEvents(calls.read(stream, options), null);
    }

    /** Reads the log's events that match a query, in position order. */
    public AsyncEvents readAll(ReadAllOptions options) {
        return new AsyncEvents(calls.readAll(options), null);
    }

    /** Reads one page of the log and says how far it got. */
    public CompletableFuture<Page> readPage(ReadPageOptions options) {
        return calls.getChannel().future(() -> calls.readPage(options));
    }

    /** Follows the log: every committed event that matches, once, in position order, first what is there, then what comes, whichever process wrote it. */
    public AsyncEvents subscribe(SubscribeOptions options) {
        return new AsyncEvents(calls.subscribe(options), options.onCaughtUp());
    }

    /** Saves a snapshot. One of the same stream, schema and version is replaced; an older one never takes the place of a newer one. */
    public CompletableFuture<Void> saveSnapshot(Snapshot snapshot) {
        return calls.getChannel().future(() -> calls.saveSnapshot(snapshot)).thenAccept(done -> { });
    }

    /** Loads the newest snapshot of a stream and schema that can be believed. */
    public CompletableFuture<Optional<Snapshot>> loadSnapshot(String stream, String schema) {
        return calls.getChannel().future(() -> calls.loadSnapshot(stream, schema, null)).thenApply(Optional::ofNullable);
    }

    /** Loads the newest snapshot of a stream and schema at or before a version. */
    public CompletableFuture<Optional<Snapshot>> loadSnapshot(String stream, String schema, long atOrBefore) {
        return calls.getChannel().future(() -> calls.loadSnapshot(stream, schema, atOrBefore)).thenApply(Optional::ofNullable);
    }

    /** The position of the last committed event that is safe to read; 0 when the log is empty. */
    public CompletableFuture<Long> head() {
        return calls.getChannel().future(() -> calls.head());
    }

    /** Closes the store: waits for what is in flight, then frees everything. Twice is fine; any later use is a {@link ClosedException}. */
    public CompletableFuture<Void> close() {
        return calls.getChannel().future(() -> calls.close()).thenAccept(done -> { });
    }
}
