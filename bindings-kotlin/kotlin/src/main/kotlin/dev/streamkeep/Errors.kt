package dev.streamkeep

import java.util.UUID

/** What is known of a write that ended in an error. */
public enum class Outcome(private val text: String) {
    /** Nothing was written, and nothing will be. */
    NotApplied("not applied"),

    /** It may have been written; repeating it with the same events is safe and tells. */
    Unknown("unknown");

    /** `not applied` or `unknown`. */
    override fun toString(): String = text
}

/** What an error says beside its own facts. */
internal class Circumstances(
    val retryable: Boolean = false,
    val outcome: Outcome = Outcome.NotApplied,
    val ids: List<UUID> = emptyList(),
    val context: String? = null,
    val cause: Throwable? = null,
)

/**
 * The error of every operation, one class for each code. Programs act on the class, or on [code], and its properties; the message is for people.
 *
 * @property code the stable code, the same in every language
 */
public sealed class StreamkeepException(public val code: String, message: String, circumstances: Circumstances) : RuntimeException(message, circumstances.cause) {
    /** Whether the same call may succeed later. */
    public val retryable: Boolean = circumstances.retryable

    /** What is known of the write that this error answers. */
    public val outcome: Outcome = circumstances.outcome

    /** The ids of the events of the append that this error answers. */
    public val ids: List<UUID> = circumstances.ids

    /** What was being done, for people. */
    public val context: String? = circumstances.context
}

/** The stream was not at the expected version: reload and decide again. */
public class ConflictException internal constructor(
    /** The stream. */
    public val stream: String,
    /** What the append demanded. */
    public val expected: Expected,
    /** The version the decision saw. */
    public val actual: Long,
    message: String,
    circumstances: Circumstances,
) : StreamkeepException("conflict", message, circumstances)

/** An id is known already, with other content or in another place: look at the ids. */
public class DuplicateEventException internal constructor(
    /** The id. */
    public val id: UUID,
    /** The stream where it is recorded. */
    public val stream: String,
    /** The version at which it is recorded. */
    public val version: Long,
    message: String,
    circumstances: Circumstances,
) : StreamkeepException("duplicate-event", message, circumstances)

/** What was asked for does not exist. */
public class NotFoundException internal constructor(
    /** What was asked for. */
    public val what: String,
    message: String,
    circumstances: Circumstances,
) : StreamkeepException("not-found", message, circumstances)

/** The call is wrong: fix it. */
public class InvalidArgumentException internal constructor(
    /** Which argument, as the contract names it. */
    public val argument: String,
    message: String,
    circumstances: Circumstances = Circumstances(),
) : StreamkeepException("invalid-argument", message, circumstances)

/** A value is larger than a limit: send less. */
public class LimitExceededException internal constructor(
    /** Which limit. */
    public val what: String,
    /** The limit. */
    public val limit: Long,
    /** What was given. */
    public val actual: Long,
    message: String = "$what: $actual is more than the limit of $limit",
    circumstances: Circumstances = Circumstances(),
) : StreamkeepException("limit-exceeded", message, circumstances)

/** URL, options or the server's set-up must be changed. */
public class ConfigException internal constructor(message: String, circumstances: Circumstances) : StreamkeepException("config", message, circumstances)

/** The database could not be reached, or not in time: retry with the same events, their ids make that safe. */
public class UnavailableException internal constructor(message: String, circumstances: Circumstances) : StreamkeepException("unavailable", message, circumstances)

/** A checkpoint or cursor lies above anything the log ever had: a restored backup. */
public class CheckpointAheadException internal constructor(
    /** The consumer, or nothing for a plain subscription. */
    public val consumer: String?,
    /** The checkpoint. */
    public val checkpoint: Long,
    /** The log's head. */
    public val head: Long,
    message: String,
    circumstances: Circumstances,
) : StreamkeepException("checkpoint-ahead", message, circumstances)

/** Stored data cannot be believed: stop, repair, upgrade. */
public class CorruptException internal constructor(
    /** Where it was seen. */
    public val where: String,
    message: String,
    circumstances: Circumstances,
) : StreamkeepException("corrupt", message, circumstances)

/** The store was closed: open a new one. */
public class ClosedException internal constructor(message: String, circumstances: Circumstances) : StreamkeepException("closed", message, circumstances)

/** A bug in this library. */
public class InternalException internal constructor(message: String, circumstances: Circumstances = Circumstances()) : StreamkeepException("internal", message, circumstances)

/** A cause on the other side of the boundary: its text is all there is of it. */
internal class NativeCause(message: String) : Exception(message, null, false, false)

/** Makes the error that a frame describes. */
internal fun readError(frame: FrameReader): StreamkeepException {
    val code = frame.text()
    val message = frame.text()
    val circumstances = Circumstances(
        retryable = frame.flag(),
        outcome = if (frame.text() == Outcome.Unknown.toString()) Outcome.Unknown else Outcome.NotApplied,
        ids = frame.list { UUID.fromString(frame.text()) },
        context = frame.optional(frame::text),
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
