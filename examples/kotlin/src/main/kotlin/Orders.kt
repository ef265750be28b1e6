// Orders: append, read, follow.

package orders

import dev.streamkeep.Event
import dev.streamkeep.EventStore
import dev.streamkeep.Expected
import dev.streamkeep.Query
import dev.streamkeep.Start
import kotlinx.coroutines.flow.take
import kotlin.io.path.createTempDirectory

suspend fun main() {
    val url = System.getenv("STREAMKEEP_URL") ?: "sqlite:${createTempDirectory("streamkeep").resolve("orders.db")}"
    EventStore.open(url).use { store ->
        val at = store.append("order-42", listOf(Event.json("OrderPlaced", """{"total":12.5}""")), Expected.NoStream)
        store.read("order-42", fromVersion = 1).collect { println("${it.version} ${it.type} ${it.data.text}") }
        store.subscribe(Query(categories = listOf("order")), start = Start.Beginning).take(1).collect { println(at.position == it.position) }
    }
}
