package dev.streamkeep;

import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * A store for threads that may block. {@link AsyncEventStore} returns futures; Kotlin has {@code EventStore}.
 *
 * <p>Many threads may use it at the same time. A failed call throws a {@link StreamkeepException}. An interrupted
 * thread gets a {@link java.util.concurrent.CancellationException} with its interrupt flag set again, and its append is
 * stored completely or not at all. A waiting virtual thread releases its carrier.
 */
public final class BlockingEventStore implements AutoCloseable {
    private final Calls calls;

    private BlockingEventStore(Calls calls) {
        this.calls = calls;
    }

    /**
     * Opens a store with the default options: {@code memory:}, {@code memory:NAME}, {@code sqlite:PATH},
     * {@code postgres://…}, {@code mongodb://…} or {@code mongodb+srv://…}.
     */
    public static BlockingEventStore open(String url) {
        return open(url, OpenOptions.defaults());
    }

    /**
     * Opens a store.
     *
     * @throws ConfigException if the URL, an option or the configuration of the server is wrong
     * @throws UnavailableException if the database cannot be reached
     */
    public static BlockingEventStore open(String url, OpenOptions options) {
        return new BlockingEventStore(Calls.Companion.openBlocking(url, options));
    }

    /** Appends events to a stream at any version. */
    public AppendResult append(String stream, List<Event> events) {
        return append(stream, events, AppendOptions.defaults());
    }

    /** Appends events to a stream that is at the expected version. */
    public AppendResult append(String stream, List<Event> events, Expected expected) {
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
    public AppendResult append(String stream, List<Event> events, AppendOptions options) {
        return calls.getChannel().block(calls.append(stream, events, options));
    }

    /**
     * Imports events that were recorded elsewhere. Each 1,000 (or 8 MiB) are written completely or not at all. Events
     * that are stored already are passed over.
     */
    public ImportResult importEvents(List<ImportEvent> events) {
        return importEvents(events, null);
    }

    /** Imports events that were recorded elsewhere, all of them within {@code timeout}. */
    public ImportResult importEvents(List<ImportEvent> events, Duration timeout) {
        return calls.getChannel().block(calls.importEvents(events, timeout));
    }

    /** Reads a whole stream, in the order of versions. */
    public Events read(String stream) {
        return read(stream, ReadOptions.defaults());
    }

    /** Reads the events of a stream page by page, in the order of versions. An absent stream has none. */
    public Events read(String stream, ReadOptions options) {
        return new Events(calls.read(stream, options), null);
    }

    /** Reads the whole log, in the order of positions. */
    public Events readAll() {
        return readAll(ReadAllOptions.defaults());
    }

    /** Reads the events of the log that match a query, in the order of positions. */
    public Events readAll(ReadAllOptions options) {
        return new Events(calls.readAll(options), null);
    }

    /** Reads the first page of the log. */
    public Page readPage() {
        return readPage(ReadPageOptions.defaults());
    }

    /** Reads one page of the log and tells how far it looked. */
    public Page readPage(ReadPageOptions options) {
        return calls.getChannel().block(calls.readPage(options));
    }

    /** Subscribes to the whole log, from its beginning. */
    public Events subscribe() {
        return subscribe(SubscribeOptions.defaults());
    }

    /**
     * Subscribes to the log: gives every committed event that matches, once, in the order of positions. It first
     * catches up and then goes on with new events, whichever process writes them.
     */
    public Events subscribe(SubscribeOptions options) {
        return new Events(calls.subscribe(options), options.onCaughtUp());
    }

    /**
     * Saves a snapshot, and replaces one with the same stream, schema and version. An older snapshot never replaces a
     * newer one.
     */
    public void saveSnapshot(Snapshot snapshot) {
        saveSnapshot(snapshot, null);
    }

    /** Saves a snapshot within {@code timeout}. */
    public void saveSnapshot(Snapshot snapshot, Duration timeout) {
        calls.getChannel().block(calls.saveSnapshot(snapshot, timeout));
    }

    /** Loads the newest valid snapshot of a stream and schema. */
    public Optional<Snapshot> loadSnapshot(String stream, String schema) {
        return Optional.ofNullable(calls.getChannel().block(calls.loadSnapshot(stream, schema, null, null)));
    }

    /** Loads the newest valid snapshot of a stream and schema, at or before a version. */
    public Optional<Snapshot> loadSnapshot(String stream, String schema, long atOrBefore) {
        return loadSnapshot(stream, schema, atOrBefore, null);
    }

    /** Loads the newest valid snapshot of a stream and schema, at or before a version, within {@code timeout}. */
    public Optional<Snapshot> loadSnapshot(String stream, String schema, long atOrBefore, Duration timeout) {
        return Optional.ofNullable(calls.getChannel().block(calls.loadSnapshot(stream, schema, atOrBefore, timeout)));
    }

    /** Returns the last event of a stream, if there is one. An acknowledged append is seen at once. */
    public Optional<RecordedEvent> last(String stream) {
        return last(stream, null);
    }

    /** Returns the last event of a stream, if there is one, within {@code timeout}. */
    public Optional<RecordedEvent> last(String stream, Duration timeout) {
        return Optional.ofNullable(calls.getChannel().block(calls.last(stream, timeout)));
    }

    /** Returns the position of the last committed event that is safe to read; 0 if the log is empty. */
    public long head() {
        return head(null);
    }

    /** Returns the position of the last committed event that is safe to read, within {@code timeout}. */
    public long head(Duration timeout) {
        return calls.getChannel().block(calls.head(timeout));
    }

    /**
     * Closes the store: waits for calls in flight, then frees everything. Closing twice is fine; any later use is a
     * {@link ClosedException}. An interrupt does not end the wait, which the calls' deadlines bound.
     */
    @Override
    public void close() {
        calls.getChannel().blockThrough(calls.close());
    }
}
