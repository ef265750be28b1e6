package dev.streamkeep

import java.util.UUID

/** What is known about a write that ended in an error. */
public enum class Outcome(private val text: String) {
    /** Nothing was written, and nothing will be written. */
    NotApplied("not applied"),

    /** It may have been written. Repeating it with the same events is safe, and the answer tells. */
    Unknown("unknown");

    /** `not applied` or `unknown`. */
    override fun toString(): String = text
}

/** The parts of an error besides its facts. */
internal class Circumstances(
    val retryable: Boolean = false,
    val outcome: Outcome = Outcome.NotApplied,
    val ids: List<UUID> = emptyList(),
    val operation: String? = null,
    val hint: String? = null,
    val cause: Throwable? = null,
)

/**
 * The error of every operation, with a subclass for each code. Programs use the class or [code], and the properties.
 * The message is for people.
 *
 * @property code the stable code, the same in every language
 */
public sealed class StreamkeepException(public val code: String, message: String, circumstances: Circumstances) : RuntimeException(message, circumstances.cause) {
    /** Whether the same call may succeed later. */
    public val retryable: Boolean = circumstances.retryable

    /** What is known about the write that ended in this error. */
    public val outcome: Outcome = circumstances.outcome

    /** The event ids of the append that ended in this error. */
    public val ids: List<UUID> = circumstances.ids

    /** The call that failed, for example `append`; `null` if no call of a store did. */
    public val operation: String? = circumstances.operation

    /** What the reader of the message can do about it, if there is something to say. */
    public val hint: String? = circumstances.hint
}

/** The stream is not at the expected version. Reload and decide again. */
public class ConflictException internal constructor(
    /** The stream. */
    public val stream: String,
    /** The expected version of the append. */
    public val expected: Expected,
    /** The version that the decision was based on. */
    public val actual: Long,
    message: String,
    circumstances: Circumstances,
) : StreamkeepException("conflict", message, circumstances)

/** An event id is already known, with other content or at another place. Check how ids are made. */
public class DuplicateEventException internal constructor(
    /** The id. */
    public val id: UUID,
    /** The stream in which it is recorded. */
    public val stream: String,
    /** Its version there. */
    public val version: Long,
    message: String,
    circumstances: Circumstances,
) : StreamkeepException("duplicate-event", message, circumstances)

/** Something does not exist. */
public class NotFoundException internal constructor(
    /** What does not exist. */
    public val what: String,
    message: String,
    circumstances: Circumstances,
) : StreamkeepException("not-found", message, circumstances)

/** The call is wrong. Fix it. */
public class InvalidArgumentException internal constructor(
    /** Which argument, as the contract names it. */
    public val argument: String,
    message: String,
    circumstances: Circumstances = Circumstances(),
) : StreamkeepException("invalid-argument", message, circumstances)

/** A value exceeds a limit. Send less. */
public class LimitExceededException internal constructor(
    /** Which limit. */
    public val what: String,
    /** The limit. */
    public val limit: Long,
    /** The size of the value. */
    public val actual: Long,
    message: String = "$what: $actual is more than the limit of $limit",
    circumstances: Circumstances = Circumstances(),
) : StreamkeepException("limit-exceeded", message, circumstances)

/** The URL, the options or the configuration of the server has to change. */
public class ConfigException internal constructor(message: String, circumstances: Circumstances) : StreamkeepException("config", message, circumstances)

/** The database did not answer before the deadline. Retry with the same events: their ids make that safe. */
public class UnavailableException internal constructor(message: String, circumstances: Circumstances) : StreamkeepException("unavailable", message, circumstances)

/** A checkpoint or cursor is above every position that the log has drawn, for example after a backup was restored. */
public class CheckpointAheadException internal constructor(
    /** The consumer; `null` for a subscription or read. */
    public val consumer: String?,
    /** The checkpoint. */
    public val checkpoint: Long,
    /** The log's head. */
    public val head: Long,
    message: String,
    circumstances: Circumstances,
) : StreamkeepException("checkpoint-ahead", message, circumstances)

/** Stored data is not valid. Stop, then repair it or upgrade the library. */
public class CorruptException internal constructor(
    /** Where it was found. */
    public val where: String,
    message: String,
    circumstances: Circumstances,
) : StreamkeepException("corrupt", message, circumstances)

/** The store was closed. Open a new one. */
public class ClosedException internal constructor(message: String, circumstances: Circumstances) : StreamkeepException("closed", message, circumstances)

/** A bug in this library. */
public class InternalException internal constructor(message: String, circumstances: Circumstances = Circumstances()) : StreamkeepException("internal", message, circumstances)

/** A cause in the native library, of which only the text is known. */
internal class NativeCause(message: String) : Exception(message, null, false, false)

/** Makes an exception from its description in a frame. */
internal fun readError(frame: FrameReader): StreamkeepException {
    val code = frame.text()
    val message = frame.text()
    val circumstances = Circumstances(
        retryable = frame.flag(),
        outcome = if (frame.text() == Outcome.Unknown.toString()) Outcome.Unknown else Outcome.NotApplied,
        ids = frame.list { UUID.fromString(frame.text()) },
        operation = frame.optional(frame::text),
        hint = frame.optional(frame::text),
        cause = frame.optional(frame::text)?.let(::NativeCause),
    )
    val facts = HashMap<String, Any?>()
    repeat(frame.int()) { facts[frame.text()] = if (frame.flag()) frame.long() else frame.optional(frame::text) }
    return errorOf(code, message, circumstances, Facts(facts))
}

private class Facts(private val facts: Map<String, Any?>) {
    fun text(name: String): String = facts[name] as? String ?: ""

    fun number(name: String): Long = facts[name] as? Long ?: 0

    fun expected(): Expected = Expected.of(facts["expected"])

    fun consumer(): String? = facts["consumer"] as? String
}

private fun errorOf(code: String, message: String, circumstances: Circumstances, facts: Facts): StreamkeepException = when (code) {
    "conflict" -> ConflictException(facts.text("stream"), facts.expected(), facts.number("actual"), message, circumstances)
    "duplicate-event" -> DuplicateEventException(UUID.fromString(facts.text("id")), facts.text("stream"), facts.number("version"), message, circumstances)
    "not-found" -> NotFoundException(facts.text("what"), message, circumstances)
    "invalid-argument" -> InvalidArgumentException(facts.text("argument"), message, circumstances)
    "limit-exceeded" -> LimitExceededException(facts.text("what"), facts.number("limit"), facts.number("actual"), message, circumstances)
    "config" -> ConfigException(message, circumstances)
    "unavailable" -> UnavailableException(message, circumstances)
    "checkpoint-ahead" -> CheckpointAheadException(facts.consumer(), facts.number("checkpoint"), facts.number("head"), message, circumstances)
    "corrupt" -> CorruptException(facts.text("where"), message, circumstances)
    "closed" -> ClosedException(message, circumstances)
    else -> InternalException(message, circumstances)
}
