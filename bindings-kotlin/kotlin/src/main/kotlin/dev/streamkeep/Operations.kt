// Generated from generate/surface.json by `make generate`. Do not edit it.

package dev.streamkeep

import java.time.Duration

/** The numbers of the operations, as `operations.rs` has them, and their names. */
internal object Operation {
    const val APPEND = 16
    const val CLOSE = 17
    const val HEAD = 18
    const val IMPORT_EVENTS = 19
    const val LAST = 20
    const val LOAD_SNAPSHOT = 21
    const val OPEN = 22
    const val READ = 23
    const val READ_ALL = 24
    const val READ_PAGE = 25
    const val SAVE_SNAPSHOT = 26
    const val SUBSCRIBE = 27

    /** The name of an operation, as every language's errors have it. */
    fun name(operation: Int): String? = when (operation) {
        APPEND -> "append"
        CLOSE -> "close"
        HEAD -> "head"
        IMPORT_EVENTS -> "import_events"
        LAST -> "last"
        LOAD_SNAPSHOT -> "load_snapshot"
        OPEN -> "open"
        READ -> "read"
        READ_ALL -> "read_all"
        READ_PAGE -> "read_page"
        SAVE_SNAPSHOT -> "save_snapshot"
        SUBSCRIBE -> "subscribe"
        else -> null
    }
}

/** The requests of a store: each writes its arguments and options, and reads the answer. */
internal abstract class Operations {
    protected abstract fun <T> request(operation: Int, read: (FrameReader) -> T, write: RequestWriter.() -> Unit): Request<T>

    protected abstract fun reading(operation: Int, write: RequestWriter.() -> Unit): Reading

    fun append(stream: String, events: List<Event>, options: AppendOptions): Request<AppendResult> = request(Operation.APPEND, { AppendResult(it.long(), it.long(), it.flag()) }) {
        text(stream, "stream")
        events(events)
        options.write(this)
    }

    fun head(timeout: Duration?): Request<Long> = request(Operation.HEAD, { it.long() }) {
        optionalDuration(timeout)
    }

    fun importEvents(events: List<ImportEvent>, timeout: Duration?): Request<ImportResult> = request(Operation.IMPORT_EVENTS, { ImportResult(it.long(), it.long(), it.long()) }) {
        imports(events)
        optionalDuration(timeout)
    }

    fun last(stream: String, timeout: Duration?): Request<RecordedEvent?> = request(Operation.LAST, { frame -> frame.optional { RecordedEvent.read(frame) } }) {
        text(stream, "stream")
        optionalDuration(timeout)
    }

    fun loadSnapshot(stream: String, schema: String, atOrBefore: Long?, timeout: Duration?): Request<Snapshot?> = request(Operation.LOAD_SNAPSHOT, { frame -> frame.optional { Snapshot.read(frame) } }) {
        text(stream, "stream")
        text(schema, "schema")
        optional(atOrBefore) { long(it) }
        optionalDuration(timeout)
    }

    fun read(stream: String, options: ReadOptions): Reading = reading(Operation.READ) {
        text(stream, "stream")
        options.write(this)
    }

    fun readAll(options: ReadAllOptions): Reading = reading(Operation.READ_ALL) {
        options.write(this)
    }

    fun readPage(options: ReadPageOptions): Request<Page> = request(Operation.READ_PAGE, { Page(it.list { RecordedEvent.read(it) }, it.long(), it.flag()) }) {
        options.write(this)
    }

    fun saveSnapshot(snapshot: Snapshot, timeout: Duration?): Request<Unit> = request(Operation.SAVE_SNAPSHOT, {}) {
        snapshot.write(this)
        optionalDuration(timeout)
    }

    fun subscribe(options: SubscribeOptions): Reading = reading(Operation.SUBSCRIBE) {
        options.write(this)
    }
}
