package dev.streamkeep

import kotlinx.coroutines.cancel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlin.time.toKotlinDuration

/** One interface for the tests, over Kotlin's and Java's store classes. */
internal interface Face {
    fun append(stream: String, events: List<Event>, options: AppendOptions = AppendOptions()): AppendResult

    fun importEvents(events: List<ImportEvent>): ImportResult

    fun read(stream: String, options: ReadOptions = ReadOptions()): List<RecordedEvent>

    fun readAll(options: ReadAllOptions): List<RecordedEvent>

    fun readPage(options: ReadPageOptions): Page

    /**
     * The first [take] events, or all until caught up. [whenCaughtUp] runs when the subscription has caught up for the
     * first time.
     */
    fun subscribe(options: SubscribeOptions, take: Int?, whenCaughtUp: () -> Unit): List<RecordedEvent>

    fun saveSnapshot(snapshot: Snapshot)

    fun loadSnapshot(stream: String, schema: String, atOrBefore: Long?): Snapshot?

    fun head(): Long

    fun close()
}

/** Opens a store with one of the classes. */
internal class Opener(private val name: String, val open: (String, OpenOptions) -> Face) {
    override fun toString(): String = name
}

internal val kotlinFace = Opener("kotlin") { url, o ->
    KotlinFace(runBlocking { EventStore.open(url, o.namespace, o.create, o.durability, o.timeout?.toKotlinDuration(), o.pollInterval?.toKotlinDuration(), o.maxConnections, o.insecure) })
}

internal val javaFace = Opener("java") { url, options -> JavaFace(BlockingEventStore.open(url, options)) }

private class KotlinFace(private val store: EventStore) : Face {
    override fun append(stream: String, events: List<Event>, options: AppendOptions) =
        runBlocking { store.append(stream, events, options.expected, options.timeout?.toKotlinDuration()) }

    override fun importEvents(events: List<ImportEvent>) = runBlocking { store.importEvents(events) }

    override fun read(stream: String, options: ReadOptions) =
        runBlocking { with(options) { store.read(stream, fromVersion, toVersion, direction, limit, timeout?.toKotlinDuration()).toList() } }

    override fun readAll(options: ReadAllOptions) =
        runBlocking { with(options) { store.readAll(after, before, query, direction, limit, timeout?.toKotlinDuration()).toList() } }

    override fun readPage(options: ReadPageOptions) = runBlocking { with(options) { store.readPage(after, query, limit, timeout?.toKotlinDuration()) } }

    override fun subscribe(options: SubscribeOptions, take: Int?, whenCaughtUp: () -> Unit): List<RecordedEvent> = runBlocking {
        val got = mutableListOf<RecordedEvent>()
        var told = false
        val caughtUp: suspend () -> Unit = {
            if (!told) whenCaughtUp()
            told = true
            if (take == null) currentCoroutineContext().cancel()
        }
        coroutineScope {
            launch {
                val events = store.subscribe(options.query, options.start, options.after, caughtUp)
                (if (take == null) events else events.take(take)).collect(got::add)
            }
        }
        got
    }

    override fun saveSnapshot(snapshot: Snapshot) = runBlocking { store.saveSnapshot(snapshot) }

    override fun loadSnapshot(stream: String, schema: String, atOrBefore: Long?) = runBlocking { store.loadSnapshot(stream, schema, atOrBefore) }

    override fun head() = runBlocking { store.head() }

    override fun close() = runBlocking { store.close() }
}

private class JavaFace(private val store: BlockingEventStore) : Face {
    override fun append(stream: String, events: List<Event>, options: AppendOptions): AppendResult = store.append(stream, events, options)

    override fun importEvents(events: List<ImportEvent>): ImportResult = store.importEvents(events)

    override fun read(stream: String, options: ReadOptions): List<RecordedEvent> = store.read(stream, options).use { it.toList() }

    override fun readAll(options: ReadAllOptions): List<RecordedEvent> = store.readAll(options).use { it.toList() }

    override fun readPage(options: ReadPageOptions): Page = store.readPage(options)

    override fun subscribe(options: SubscribeOptions, take: Int?, whenCaughtUp: () -> Unit): List<RecordedEvent> {
        var told = false
        val caughtUp = { reader: EventReader ->
            if (!told) whenCaughtUp()
            told = true
            if (take == null) reader.close()
        }
        return store.subscribe(options.withOnCaughtUp(caughtUp)).use { events -> if (take == null) events.toList() else events.take(take) }
    }

    override fun saveSnapshot(snapshot: Snapshot) = store.saveSnapshot(snapshot)

    override fun loadSnapshot(stream: String, schema: String, atOrBefore: Long?): Snapshot? =
        (if (atOrBefore == null) store.loadSnapshot(stream, schema) else store.loadSnapshot(stream, schema, atOrBefore)).orElse(null)

    override fun head() = store.head()

    override fun close() = store.close()
}
