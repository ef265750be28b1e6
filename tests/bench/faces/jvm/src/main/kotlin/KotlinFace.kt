// The rounds of `streamkeep-bench --face` in Kotlin: KotlinFaceKt URL RUN WORKLOAD prints one round as JSON.
// The many callers are coroutines. Data and metadata are JSON text, and the text of each event's data is read.

import dev.streamkeep.EventStore
import dev.streamkeep.Expected
import dev.streamkeep.RecordedEvent
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

/** The number of events in a call of `importEvents`: one unit, one transaction. */
private const val CALL_EVENTS = 1_000

suspend fun main(args: Array<String>): Unit = withContext(Dispatchers.Default) {
    val (url, run, workload) = args
    EventStore.open(url, namespace = "bench_${run}_${ProcessHandle.current().pid()}").use { store ->
        EventStore.open(url, namespace = "bench_${run}_log").use { log ->
            val face = Face(store, log, Workload.read(workload))
            if (log.head() == 0L) face.fill()
            // The second of two rounds, because the first warms up.
            face.round(0)
            face.round(1).print()
        }
    }
}

/** The rows of the table, on a store to append to and one with the log that is read. */
private class Face(private val store: EventStore, private val log: EventStore, private val workload: Workload) {
    /** Measures every row once. */
    suspend fun round(number: Int) = Workload.Figures(
        one(number),
        many(number),
        batches(number),
        read(log.read("long"), workload.longStreamEvents),
        read(log.readAll(), workload.logEvents),
    )

    suspend fun fill() {
        for (call in workload.logInCalls(CALL_EVENTS)) log.importEvents(call)
    }

    /** One event per call, one caller: the median latency in microseconds. */
    private suspend fun one(number: Int): Double {
        val latencies = LongArray(workload.loneAppends)
        for (n in latencies.indices) {
            val stream = "lone$number-${n % workload.loneStreams}"
            val events = listOf(workload.event())
            val expected = Expected.Exact((n / workload.loneStreams).toLong())
            val started = System.nanoTime()
            store.append(stream, events, expected)
            latencies[n] = System.nanoTime() - started
        }
        return Workload.medianMicros(latencies)
    }

    /** Many callers, each with its own stream: appends per second. */
    private suspend fun many(number: Int): Double {
        val started = System.nanoTime()
        coroutineScope {
            repeat(workload.callers) { caller ->
                launch {
                    for (version in 0L until workload.appendsPerCaller) store.append("many$number-$caller", listOf(workload.event()), Expected.Exact(version))
                }
            }
        }
        return Workload.rate(workload.callers * workload.appendsPerCaller, started)
    }

    /** A hundred events of one stream per call: events per second. */
    private suspend fun batches(number: Int): Double {
        val started = System.nanoTime()
        repeat(workload.batches) { store.append("batch$number-$it", workload.batch(), Expected.NoStream) }
        return Workload.rate(workload.batches * workload.batchEvents, started)
    }

    /** Reads events and their data: events per second. */
    private suspend fun read(events: Flow<RecordedEvent>, expected: Int): Double {
        val started = System.nanoTime()
        var count = 0
        var characters = 0L
        events.collect {
            count++
            characters += it.data.text.length
        }
        val figure = Workload.rate(count, started)
        workload.check(count, characters, expected)
        return figure
    }
}
