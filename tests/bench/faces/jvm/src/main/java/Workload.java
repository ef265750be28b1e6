import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import dev.streamkeep.Event;
import dev.streamkeep.ImportEvent;
import java.io.File;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** The contents of {@code workload.json}, for both JVM faces. */
public record Workload(
        String type,
        String data,
        String metadata,
        int callers,
        int loneAppends,
        int loneStreams,
        int appendsPerCaller,
        int batchEvents,
        int batches,
        int longStreamEvents,
        int logEvents) {
    private static final ObjectMapper JSON = new ObjectMapper().setPropertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE);

    /** The figures of a round: a latency in microseconds, and rates per second. */
    public record Figures(double oneUs, double manyPerS, double batchPerS, double streamPerS, double logPerS) {
        /** Prints them as JSON. */
        public void print() throws IOException {
            System.out.println(JSON.writeValueAsString(this));
        }
    }

    public static Workload read(String file) throws IOException {
        return JSON.readValue(new File(file), Workload.class);
    }

    /** An event to append, with JSON text. */
    public Event event() {
        return Event.json(type, data).withMetadata(metadata);
    }

    /** The events of one call in the row of batches. */
    public List<Event> batch() {
        return IntStream.range(0, batchEvents).mapToObj(n -> event()).toList();
    }

    /** The log that is read, in calls of {@code size}: one long stream first, the rest in streams of a hundred. */
    public Iterable<List<ImportEvent>> logInCalls(int size) {
        return () -> IntStream.range(0, (logEvents + size - 1) / size)
                .mapToObj(call -> IntStream.range(call * size, Math.min((call + 1) * size, logEvents)).mapToObj(this::ofLog).toList())
                .iterator();
    }

    private ImportEvent ofLog(int n) {
        return new ImportEvent(n < longStreamEvents ? "long" : "short-" + n / 100, event());
    }

    /** Checks that the events that were read are those that were written. */
    public void check(int count, long characters, int expected) {
        if (count != expected || characters != (long) expected * data.length()) {
            throw new IllegalStateException(count + " events with " + characters + " characters read");
        }
    }

    /** The median of latencies in nanoseconds, in microseconds. */
    public static double medianMicros(long[] nanos) {
        Arrays.sort(nanos);
        return nanos[nanos.length / 2] / 1e3;
    }

    /** Units per second since a moment of {@link System#nanoTime()}. */
    public static double rate(int count, long started) {
        return count / ((System.nanoTime() - started) / 1e9);
    }
}
