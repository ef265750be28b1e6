package dev.streamkeep;

import java.util.List;
import java.util.Optional;

/**
 * A store for threads that may wait. {@link AsyncEventStore} gives futures; Kotlin has {@code EventStore}.
 *
 * <p>It can be used by any number of threads. What fails throws a {@link StreamkeepException}. A thread that waits can be interrupted: it gets a
 * {@link java.util.concurrent.CancellationException} with its interrupt flag set again, and its append is whole or absent. Virtual threads wait without their carrier.
 */
public final class BlockingEventStore implements AutoCloseable {
    private final Calls calls;

    private BlockingEventStore(Calls calls) {
        this.calls = calls;
    }

    /** Opens a store with every option at its default: {@code memory:}, {@code memory:NAME}, {@code sqlite:PATH}, {@code postgres://…}, {@code mongodb://…}, {@code mongodb+srv://…}. */
    public static BlockingEventStore open(String url) {
        return open(url, OpenOptions.defaults());
    }

    /**
     * Opens a store.
     *
     * @throws ConfigException when the URL, an option or the server's set-up is not one to work with
     * @throws UnavailableException when the database cannot be reached
     */
    public static BlockingEventStore open(String url, OpenOptions options) {
        var channel = Channel.Companion.getShared();
        return new BlockingEventStore(channel.block(Calls.Companion.open(channel, url, options)));
    }

    /** Appends events whatever the stream is at. */
    public AppendResult append(String stream, List<Event> events) {
        return append(stream, events, AppendOptions.defaults());
    }

    /** Appends events to a stream that is as expected. */
    public AppendResult append(String stream, List<Event> events, Expected expected) {
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
    public AppendResult append(String stream, List<Event> events, AppendOptions options) {
        return calls.getChannel().block(calls.append(stream, events, options));
    }

    /** Takes events recorded elsewhere, whole or not at all per 1,000 (or 8 MiB). What is there already is passed over. */
    public ImportResult importEvents(List<ImportEvent> events) {
        return calls.getChannel().block(calls.importEvents(events));
    }

    /** Reads a whole stream, in version order. */
    public Events read(String stream) {
        return read(stream, ReadOptions.defaults());
    }

    /** Reads a stream's events in version order, page by page; an absent stream has none. */
    public Events read(String stream, ReadOptions options) {
        return new Events(calls.read(stream, options), null);
    }

    /** Reads the log's events that match a query, in position order. */
    public Events readAll(ReadAllOptions options) {
        return new Events(calls.readAll(options), null);
    }

    /** Reads one page of the log and says how far it got. */
    public Page readPage(ReadPageOptions options) {
        return calls.getChannel().block(calls.readPage(options));
    }

    /** Follows the log: every committed event that matches, once, in position order, first what is there, then what comes, whichever process wrote it. */
    public Events subscribe(SubscribeOptions options) {
        return new Events(calls.subscribe(options), options.onCaughtUp());
    }

    /** Saves a snapshot. One of the same stream, schema and version is replaced; an older one never takes the place of a newer one. */
    public void saveSnapshot(Snapshot snapshot) {
        calls.getChannel().block(calls.saveSnapshot(snapshot));
    }

    /** Loads the newest snapshot of a stream and schema that can be believed. */
    public Optional<Snapshot> loadSnapshot(String stream, String schema) {
        return Optional.ofNullable(calls.getChannel().block(calls.loadSnapshot(stream, schema, null)));
    }

    /** Loads the newest snapshot of a stream and schema at or before a version. */
    public Optional<Snapshot> loadSnapshot(String stream, String schema, long atOrBefore) {
        return Optional.ofNullable(calls.getChannel().block(calls.loadSnapshot(stream, schema, atOrBefore)));
    }

    /** The position of the last committed event that is safe to read; 0 when the log is empty. */
    public long head() {
        return calls.getChannel().block(calls.head());
    }

    /**
     * Closes the store: waits for what is in flight, then frees everything. Twice is fine; any later use is a {@link ClosedException}. An interrupt does not end the
     * waiting, which deadlines bound.
     */
    @Override
    public void close() {
        calls.getChannel().blockThrough(calls.close());
    }
}
