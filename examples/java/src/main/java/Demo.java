import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.streamkeep.BlockingEventStore;
import dev.streamkeep.Event;
import dev.streamkeep.EventReader;
import dev.streamkeep.ImportEvent;
import dev.streamkeep.Payload;
import dev.streamkeep.ReadOptions;
import dev.streamkeep.RecordedEvent;
import dev.streamkeep.Snapshot;
import dev.streamkeep.SubscribeOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.UUID;
import java.util.zip.GZIPInputStream;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;

/**
 * The demo: imports a log of JSON Lines, reads it back, folds it with and without a snapshot, follows it.
 *
 * <p>Results go to standard output, speeds to standard error.
 */
public final class Demo {
    /** The number of events in a call of {@code importEvents}: one unit, one transaction. */
    private static final int CALL_EVENTS = 1_000;
    /** The schema of the demo's snapshots. */
    private static final String SCHEMA = "count-by-type/1";
    private static final ObjectMapper JSON = new ObjectMapper();

    private final BlockingEventStore store;
    private final TreeMap<String, Long> versions = new TreeMap<>();
    private long imported;
    private long passedOver;

    private Demo(BlockingEventStore store) {
        this.store = store;
    }

    public static void main(String[] args) throws IOException {
        if (args.length != 2) {
            System.err.println("demo URL FILE: memory:, sqlite:PATH, postgres://… or mongodb://…, and JSON Lines, plain or .gz");
            System.exit(2);
        }
        try (var store = BlockingEventStore.open(args[0])) {
            var demo = new Demo(store);
            demo.importFile(Path.of(args[1]));
            demo.foldLongest();
            demo.follow();
        }
    }

    private void importFile(Path path) throws IOException {
        var started = System.nanoTime();
        try (var lines = lines(path)) {
            var call = new ArrayList<ImportEvent>(CALL_EVENTS);
            for (var line = lines.readLine(); line != null; line = lines.readLine()) {
                call.add(event(Line.of(line)));
                if (call.size() == CALL_EVENTS) {
                    importCall(call);
                }
            }
            importCall(call);
        }
        System.out.println("imported " + imported + ", passed over " + passedOver + ", streams " + versions.size());
        report("import", imported + passedOver, started);
    }

    private static BufferedReader lines(Path path) throws IOException {
        // The progress is that of the file, compressed or not.
        var bar = new ProgressBarBuilder().setTaskName("importing").setInitialMax(Files.size(path)).setUnit("KiB", 1024);
        InputStream packed = ProgressBar.wrap(Files.newInputStream(path), bar);
        var file = path.toString().endsWith(".gz") ? new GZIPInputStream(packed) : packed;
        return new BufferedReader(new InputStreamReader(file, StandardCharsets.UTF_8));
    }

    private void importCall(List<ImportEvent> call) {
        var done = store.importEvents(call);
        imported += done.getImported();
        passedOver += done.getPassedOver();
        call.clear();
    }

    /** Makes the event of a line. Its id depends on its stream and version, so that the same file can be imported again. */
    private ImportEvent event(Line line) {
        var version = versions.merge(line.stream, 1L, Long::sum);
        var id = uuid5("streamkeep:" + line.stream + "#" + version);
        var event = new Event(line.type, Payload.json(line.data), line.metadata, line.tags, id);
        return new ImportEvent(line.stream, event, version, line.time);
    }

    /** A UUID of version 5 in the namespace of URLs. */
    private static UUID uuid5(String name) {
        try {
            var urls = ByteBuffer.allocate(2 * Long.BYTES).putLong(0x6ba7b8119dad11d1L).putLong(0x80b400c04fd430c8L).array();
            var hasher = MessageDigest.getInstance("SHA-1");
            hasher.update(urls);
            var hash = ByteBuffer.wrap(hasher.digest(name.getBytes(StandardCharsets.UTF_8)));
            var high = hash.getLong() & ~0xf000L | 0x5000L;
            var low = hash.getLong() & ~(3L << 62) | 2L << 62;
            return new UUID(high, low);
        } catch (NoSuchAlgorithmException missing) {
            throw new IllegalStateException("every Java has SHA-1", missing);
        }
    }

    /** A state and the number of its events. */
    private record Fold(TreeMap<String, Long> state, long events) {}

    /** Folds the longest stream from its first event and from a snapshot, with the same result. */
    private void foldLongest() throws IOException {
        var longest = versions.entrySet().stream().reduce((a, b) -> b.getValue() > a.getValue() ? b : a);
        var stream = longest.orElseThrow(() -> new IllegalStateException("the file has no events")).getKey();
        var length = versions.get(stream);

        var started = System.nanoTime();
        var whole = fold(stream, ReadOptions.defaults(), new TreeMap<>());
        report("fold from the first event", whole.events, started);
        check(whole.events == length, stream + " has " + whole.events + " events instead of " + length);
        System.out.println("longest " + stream + " with " + length + " events, fold " + JSON.writeValueAsString(whole.state));

        var version = Math.max(length * 9 / 10, 1);
        var early = fold(stream, ReadOptions.defaults().withToVersion(version), new TreeMap<>());
        store.saveSnapshot(new Snapshot(stream, version, SCHEMA, Payload.json(JSON.writeValueAsBytes(early.state))));

        started = System.nanoTime();
        var snapshot = store.loadSnapshot(stream, SCHEMA).orElseThrow(() -> new IllegalStateException("the saved snapshot is not found"));
        var state = JSON.readValue(snapshot.getData().getText(), new TypeReference<TreeMap<String, Long>>() {});
        var again = fold(stream, ReadOptions.defaults().withFromVersion(snapshot.getVersion() + 1), state);
        report("fold from a snapshot", again.events, started);
        check(again.state.equals(whole.state), "the fold from a snapshot differs");
        System.out.println("the same from a snapshot at version " + snapshot.getVersion() + " and " + again.events + " events");
    }

    private Fold fold(String stream, ReadOptions options, TreeMap<String, Long> state) {
        var count = 0L;
        try (var events = store.read(stream, options)) {
            for (RecordedEvent e : events) {
                state.merge(e.getType(), 1L, Long::sum);
                count++;
            }
        }
        return new Fold(state, count);
    }

    /** Follows the log from its beginning until the subscription has caught up. */
    private void follow() {
        var started = System.nanoTime();
        var last = 0L;
        var count = 0L;
        try (var events = store.subscribe(SubscribeOptions.defaults().withOnCaughtUp(EventReader::close))) {
            for (RecordedEvent e : events) {
                check(e.getPosition() > last, "position " + e.getPosition() + " came after " + last);
                last = e.getPosition();
                count++;
            }
        }
        System.out.println("followed " + count + " events in order");
        report("follow", count, started);
    }

    private static void check(boolean holds, String otherwise) {
        if (!holds) {
            throw new IllegalStateException(otherwise);
        }
    }

    private static void report(String what, long events, long started) {
        var seconds = (System.nanoTime() - started) / 1e9;
        System.err.printf("%s: %d events in %.3f s, %.0f events/s%n", what, events, seconds, events / seconds);
    }
}
