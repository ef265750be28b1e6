// The demo: imports a log of JSON Lines, reads it back, folds it with and without a snapshot, follows it.
// Results go to standard output, speeds to standard error.

package demo

import com.fasterxml.jackson.core.JsonFactory
import com.fasterxml.jackson.core.JsonParser
import com.fasterxml.jackson.core.JsonToken
import dev.streamkeep.Event
import dev.streamkeep.EventStore
import dev.streamkeep.ImportEvent
import dev.streamkeep.Payload
import dev.streamkeep.Snapshot
import dev.streamkeep.decode
import dev.streamkeep.encodePayload
import kotlinx.coroutines.cancel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.launch
import kotlinx.serialization.json.Json
import me.tongfei.progressbar.ProgressBar
import me.tongfei.progressbar.ProgressBarBuilder
import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.file.Path
import java.security.MessageDigest
import java.time.Instant
import java.time.OffsetDateTime
import java.util.SortedMap
import java.util.TreeMap
import java.util.UUID
import java.util.zip.GZIPInputStream
import kotlin.io.path.fileSize
import kotlin.io.path.inputStream
import kotlin.io.path.name
import kotlin.system.exitProcess
import kotlin.time.TimeSource

/** The number of events in a call of `importEvents`: one unit, one transaction. */
private const val CALL_EVENTS = 1_000

/** The schema of the demo's snapshots. */
private const val SCHEMA = "count-by-type/1"

private typealias Fold = TreeMap<String, Long>

suspend fun main(args: Array<String>) {
    if (args.size != 2) {
        System.err.println("demo URL FILE: memory:, sqlite:PATH, postgres://… or mongodb://…, and JSON Lines, plain or .gz")
        exitProcess(2)
    }
    EventStore.open(args[0]).use { store ->
        val streams = import(store, Path.of(args[1]))
        foldLongest(store, streams)
        follow(store)
    }
}

/** Imports the file and returns how many events each stream has. */
private suspend fun import(store: EventStore, path: Path): SortedMap<String, Long> {
    val versions = TreeMap<String, Long>()
    var imported = 0L
    var passedOver = 0L
    val started = TimeSource.Monotonic.markNow()
    // The progress is that of the file, compressed or not.
    val bar = ProgressBarBuilder().setTaskName("importing").setInitialMax(path.fileSize()).setUnit("KiB", 1024)
    val packed = ProgressBar.wrap(path.inputStream(), bar)
    val file: InputStream = if (path.name.endsWith(".gz")) GZIPInputStream(packed) else packed
    file.bufferedReader().useLines { lines ->
        for (call in lines.map { event(it, versions) }.chunked(CALL_EVENTS)) {
            val done = store.importEvents(call)
            imported += done.imported
            passedOver += done.passedOver
        }
    }
    println("imported $imported, passed over $passedOver, streams ${versions.size}")
    report("import", imported + passedOver, started)
    return versions
}

/** Makes the event of a line. Its id depends on its stream and version, so that the same file can be imported again. */
private fun event(text: String, versions: MutableMap<String, Long>): ImportEvent {
    val line = Line(text)
    val version = versions.merge(line.stream, 1, Long::plus)!!
    val event = Event(line.type, Payload.json(line.data), line.metadata, line.tags, uuid5("streamkeep:${line.stream}#$version"))
    return ImportEvent(line.stream, event, version, line.time)
}

/** A line of the file, with the exact texts of `data` and `metadata`. */
private class Line(private val text: String) {
    var stream = ""
    var type = ""
    var time: Instant = Instant.EPOCH
    var data = "{}"
    var metadata = "{}"
    val tags = mutableListOf<String>()

    init {
        JSON.createParser(text).use { line ->
            check(line.nextToken() == JsonToken.START_OBJECT) { "a line must be a JSON object" }
            while (line.nextToken() != JsonToken.END_OBJECT) {
                val name = line.currentName()
                line.nextToken()
                when (name) {
                    "stream" -> stream = line.text
                    "type" -> type = line.text
                    "time" -> time = OffsetDateTime.parse(line.text).toInstant()
                    "data" -> data = raw(line)
                    "metadata" -> metadata = raw(line)
                    "tags" -> while (line.nextToken() != JsonToken.END_ARRAY) tags += line.text
                    else -> error("a line has an unknown key '$name'")
                }
            }
        }
    }

    private fun raw(line: JsonParser): String {
        val start = line.currentTokenLocation().charOffset.toInt()
        line.skipChildren()
        line.finishToken()
        return text.substring(start, line.currentLocation().charOffset.toInt())
    }

    private companion object {
        val JSON = JsonFactory()
    }
}

/** A UUID of version 5 in the namespace of URLs. */
private fun uuid5(name: String): UUID {
    val urls = ByteBuffer.allocate(2 * Long.SIZE_BYTES).putLong(0x6ba7b8119dad11d1).putLong(0x80b400c04fd430c8UL.toLong()).array()
    val hash = ByteBuffer.wrap(MessageDigest.getInstance("SHA-1").apply { update(urls) }.digest(name.toByteArray()))
    val high = hash.getLong() and 0xf000L.inv() or 0x5000L
    val low = hash.getLong() and (0x3L shl 62).inv() or (0x2L shl 62)
    return UUID(high, low)
}

/** Folds the longest stream from its first event and from a snapshot, with the same result. */
private suspend fun foldLongest(store: EventStore, streams: SortedMap<String, Long>) {
    // Of equally long streams the first by name, because the map is sorted.
    val (stream, length) = checkNotNull(streams.entries.maxByOrNull { it.value }) { "the file has no events" }
    var started = TimeSource.Monotonic.markNow()
    val (whole, events) = fold(store, stream)
    report("fold from the first event", events, started)
    check(events == length) { "$stream has $events events instead of $length" }
    println("longest $stream with $events events, fold ${Json.encodeToString<Map<String, Long>>(whole)}")

    val version = maxOf(length * 9 / 10, 1)
    val (early, _) = fold(store, stream, to = version)
    store.saveSnapshot(Snapshot(stream, version, SCHEMA, encodePayload<Map<String, Long>>(early)))

    started = TimeSource.Monotonic.markNow()
    val snapshot = checkNotNull(store.loadSnapshot(stream, SCHEMA)) { "the saved snapshot is not found" }
    val (again, tail) = fold(store, stream, snapshot.version + 1, state = Fold(snapshot.data.decode<Map<String, Long>>()))
    report("fold from a snapshot", tail, started)
    check(again == whole) { "the fold from a snapshot differs" }
    println("the same from a snapshot at version ${snapshot.version} and $tail events")
}

private suspend fun fold(store: EventStore, stream: String, from: Long = 1, to: Long? = null, state: Fold = Fold()): Pair<Fold, Long> {
    var count = 0L
    store.read(stream, from, to).collect {
        state.merge(it.type, 1, Long::plus)
        count++
    }
    return state to count
}

/** Follows the log from its beginning until the subscription has caught up. */
private suspend fun follow(store: EventStore) {
    val started = TimeSource.Monotonic.markNow()
    var last = 0L
    var count = 0L
    coroutineScope {
        launch {
            store.subscribe(onCaughtUp = { currentCoroutineContext().cancel() }).collect {
                check(it.position > last) { "position ${it.position} came after $last" }
                last = it.position
                count++
            }
        }
    }
    println("followed $count events in order")
    report("follow", count, started)
}

private fun report(what: String, events: Long, started: TimeSource.Monotonic.ValueTimeMark) {
    val seconds = started.elapsedNow().inWholeMicroseconds / 1e6
    System.err.println("$what: $events events in %.3f s, %.0f events/s".format(seconds, events / seconds))
}
