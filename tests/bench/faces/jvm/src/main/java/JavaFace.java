import dev.streamkeep.BlockingEventStore;
import dev.streamkeep.Event;
import dev.streamkeep.Events;
import dev.streamkeep.Expected;
import dev.streamkeep.OpenOptions;
import dev.streamkeep.ReadAllOptions;
import dev.streamkeep.RecordedEvent;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * The rounds of {@code streamkeep-bench --face} in Java: {@code JavaFace URL RUN WORKLOAD} prints one round as JSON.
 *
 * <p>The many callers are threads. Data and metadata are JSON text, and the text of each event's data is read.
 */
public final class JavaFace {
    /** The number of events in a call of {@code importEvents}: one unit, one transaction. */
    private static final int CALL_EVENTS = 1_000;

    private final BlockingEventStore store;
    private final BlockingEventStore log;
    private final Workload workload;

    private JavaFace(BlockingEventStore store, BlockingEventStore log, Workload workload) {
        this.store = store;
        this.log = log;
        this.workload = workload;
    }

    public static void main(String[] args) throws IOException, InterruptedException, ExecutionException {
        var run = "bench_" + args[1] + "_";
        var own = OpenOptions.defaults().withNamespace(run + ProcessHandle.current().pid());
        try (var store = BlockingEventStore.open(args[0], own); var log = BlockingEventStore.open(args[0], OpenOptions.defaults().withNamespace(run + "log"))) {
            var face = new JavaFace(store, log, Workload.read(args[2]));
            if (log.head() == 0) {
                face.workload.logInCalls(CALL_EVENTS).forEach(log::importEvents);
            }
            // The second of two rounds, because the first warms up.
            face.round(0);
            face.round(1).print();
        }
    }

    /** Measures every row once. */
    private Workload.Figures round(int number) throws InterruptedException, ExecutionException {
        var one = one(number);
        var many = many(number);
        var batches = batches(number);
        return new Workload.Figures(one, many, batches, read(log.read("long"), workload.longStreamEvents()), read(log.readAll(ReadAllOptions.defaults()), workload.logEvents()));
    }

    /** One event per call, one caller: the median latency in microseconds. */
    private double one(int number) {
        var latencies = new long[workload.loneAppends()];
        for (var n = 0; n < latencies.length; n++) {
            var stream = "lone" + number + "-" + n % workload.loneStreams();
            var events = List.of(workload.event());
            var expected = Expected.exact(n / workload.loneStreams());
            var started = System.nanoTime();
            store.append(stream, events, expected);
            latencies[n] = System.nanoTime() - started;
        }
        return Workload.medianMicros(latencies);
    }

    /** Many callers, each with its own stream: appends per second. */
    private double many(int number) throws InterruptedException, ExecutionException {
        var threads = Executors.newFixedThreadPool(workload.callers());
        try {
            var started = System.nanoTime();
            var calls = new ArrayList<Future<?>>();
            for (var caller = 0; caller < workload.callers(); caller++) {
                var stream = "many" + number + "-" + caller;
                calls.add(threads.submit(() -> call(stream)));
            }
            for (var call : calls) {
                call.get();
            }
            return Workload.rate(workload.callers() * workload.appendsPerCaller(), started);
        } finally {
            threads.shutdownNow();
        }
    }

    private void call(String stream) {
        for (var version = 0; version < workload.appendsPerCaller(); version++) {
            store.append(stream, List.of(workload.event()), Expected.exact(version));
        }
    }

    /** A hundred events of one stream per call: events per second. */
    private double batches(int number) {
        var started = System.nanoTime();
        for (var n = 0; n < workload.batches(); n++) {
            List<Event> batch = workload.batch();
            store.append("batch" + number + "-" + n, batch, Expected.noStream());
        }
        return Workload.rate(workload.batches() * workload.batchEvents(), started);
    }

    /** Reads events and their data: events per second. */
    private double read(Events reader, int expected) {
        var started = System.nanoTime();
        var count = 0;
        var characters = 0L;
        try (var events = reader) {
            for (RecordedEvent e : events) {
                count++;
                characters += e.getData().getText().length();
            }
        }
        var figure = Workload.rate(count, started);
        workload.check(count, characters, expected);
        return figure;
    }
}
