// The first program, which an empty project runs with the installed artifact.

import dev.streamkeep.ConflictException
import dev.streamkeep.Event
import dev.streamkeep.EventStore
import dev.streamkeep.Expected
import dev.streamkeep.Payload
import dev.streamkeep.Snapshot
import kotlinx.coroutines.cancel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.launch
import kotlin.io.path.createTempDirectory

suspend fun main() {
    val url = System.getenv("STREAMKEEP_URL") ?: "sqlite:${createTempDirectory("streamkeep").resolve("orders.db")}"
    EventStore.open(url).use { store ->
        val placed = Event.json("OrderPlaced", """{"total":12.5}""")
        val paid = Event.json("OrderPaid", """{"amount":12.5}""")
        val at = store.append("order-42", listOf(placed, paid), Expected.NoStream)
        println("appended order-42 up to version ${at.version}")

        try {
            store.append("order-42", listOf(Event.json("OrderPlaced", "{}")), Expected.NoStream)
            error("the append must conflict")
        } catch (conflict: ConflictException) {
            println("conflict on ${conflict.stream}: expected ${conflict.expected}, actual ${conflict.actual}")
        }

        store.read("order-42").collect { println("${it.version} ${it.type} ${it.data.text}") }

        store.saveSnapshot(Snapshot("order-42", at.version, "order/1", Payload.json("""{"paid":true}""")))
        store.loadSnapshot("order-42", "order/1")?.let { println("snapshot ${it.schema} at version ${it.version}: ${it.data.text}") }

        coroutineScope {
            launch {
                // The subscription ends when it has caught up.
                store.subscribe(onCaughtUp = { currentCoroutineContext().cancel() }).collect { println("event ${it.version} of ${it.stream}") }
            }
        }
        println("caught up")
    }
    println("closed")
}
