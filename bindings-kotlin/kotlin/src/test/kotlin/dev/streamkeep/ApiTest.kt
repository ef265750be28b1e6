package dev.streamkeep

import org.jetbrains.kotlin.abi.tools.AbiFilters
import org.jetbrains.kotlin.abi.tools.AbiTools
import org.junit.jupiter.api.Test
import java.io.File
import kotlin.io.path.readText
import kotlin.io.path.writeText
import kotlin.test.assertEquals

/** What compiled callers can use, in `api.txt`: a change of it is seen, and one that breaks them is not made. */
class ApiTest {
    private val known = repository.resolve("bindings-kotlin/api.txt")

    private fun dump(): String {
        val classes = File(EventStore::class.java.protectionDomain.codeSource.location.toURI()).walk().filter { it.extension == "class" }
        val filters = AbiFilters(emptySet(), emptySet(), emptySet(), emptySet())
        return StringBuilder().also { AbiTools.getInstance().printJvmDump(it, classes.toList(), filters) }.toString()
    }

    @Test
    fun `the public API is the known one`() {
        val now = dump()
        if (System.getenv("STREAMKEEP_WRITE_API") != null) known.writeText(now)
        val (before, after) = known.readText().lines() to now.lines()
        val changes = (before - after.toSet()).map { "- $it" } + (after - before.toSet()).map { "+ $it" }
        assertEquals(emptyList(), changes, "if no line is removed, or nothing was released: STREAMKEEP_WRITE_API=1 writes api.txt")
        assertEquals(before, after)
    }

    @Test
    fun `a field can be added to each class`() {
        // A copy function and components have all fields in their signature or their order.
        val closed = dump().lines().filter { Regex("fun (copy|component\\d+)\\W").containsMatchIn(it) }
        assertEquals(emptyList(), closed)
    }
}
