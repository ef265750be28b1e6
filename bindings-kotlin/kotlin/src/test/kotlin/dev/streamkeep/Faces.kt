package dev.streamkeep

import kotlinx.coroutines.cancel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlin.time.toKotlinDuration

/** What the tests call by hand, over Kotlin's and Java's store classes. [Described] calls everything. */
internal interface Face {
    /** The store of the library. */
    val store: Any

    fun append(stream: String, events: List<Event>, options: AppendOptions = AppendOptions()): AppendResult

    fun read(stream: String, options: ReadOptions = ReadOptions()): List<RecordedEvent>

    /**
     * The first [take] events, or all until caught up. [whenCaughtUp] runs when the subscription has caught up for the
     * first time.
     */
    fun subscribe(options: SubscribeOptions, take: Int?, whenCaughtUp: () -> Unit): List<RecordedEvent>

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

private class KotlinFace(override val store: EventStore) : Face {
    override fun append(stream: String, events: List<Event>, options: AppendOptions) =
        runBlocking { store.append(stream, events, options.expected, options.timeout?.toKotlinDuration()) }

    override fun read(stream: String, options: ReadOptions) =
        runBlocking { with(options) { store.read(stream, fromVersion, toVersion, direction, limit, timeout?.toKotlinDuration()).toList() } }

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

    override fun head() = runBlocking { store.head() }

    override fun close() = runBlocking { store.close() }
}

private class JavaFace(override val store: BlockingEventStore) : Face {
    override fun append(stream: String, events: List<Event>, options: AppendOptions): AppendResult = store.append(stream, events, options)

    override fun read(stream: String, options: ReadOptions): List<RecordedEvent> = store.read(stream, options).use { it.toList() }

    override fun subscribe(options: SubscribeOptions, take: Int?, whenCaughtUp: () -> Unit): List<RecordedEvent> {
        var told = false
        val caughtUp = { reader: EventReader ->
            if (!told) whenCaughtUp()
            told = true
            if (take == null) reader.close()
        }
        return store.subscribe(options.withOnCaughtUp(caughtUp)).use { events -> if (take == null) events.toList() else events.take(take) }
    }

    override fun head() = store.head()

    override fun close() = store.close()
}
