package dev.streamkeep

import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout
import java.util.concurrent.CompletableFuture
import java.util.concurrent.Executor
import java.util.concurrent.Flow
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import kotlin.test.assertEquals
import kotlin.test.assertIs
import kotlin.test.assertNull
import kotlin.test.assertTrue

/** The publisher follows the rules of reactive streams. */
@Timeout(60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PublisherTest {
    /** Notes what it is given, and requests more when it is told or by itself. */
    private class Noting(private val first: Long = 0, private val after: Long = 0) : Flow.Subscriber<RecordedEvent> {
        lateinit var subscription: Flow.Subscription
        val got = LinkedBlockingQueue<Any>()

        override fun onSubscribe(subscription: Flow.Subscription) {
            this.subscription = subscription
            if (first > 0) subscription.request(first)
        }

        override fun onNext(event: RecordedEvent) {
            got += event.version
            if (after > 0) subscription.request(after)
        }

        override fun onError(failure: Throwable) {
            got += failure
        }

        override fun onComplete() {
            got += "end"
        }

        fun next(): Any? = got.poll(10, TimeUnit.SECONDS)
    }

    private fun <T> withEvents(count: Int, test: (AsyncEventStore) -> T) {
        val store = AsyncEventStore.open("memory:").get()
        if (count > 0) store.append("order-1", List(count) { Event.json("E", "{}") }).get()
        test(store)
        store.close().get()
    }

    @Test
    fun `what onCaughtUp throws is the error of the subscriber`() = withEvents(1) { store ->
        val noting = Noting(first = Long.MAX_VALUE)
        val throwing = SubscribeOptions.defaults().withOnCaughtUp { error("mine") }
        store.subscribe(throwing).publisher { Thread(it).start() }.subscribe(noting)
        assertEquals(1L, noting.next())
        assertEquals("mine", assertIs<IllegalStateException>(noting.next()).message)
    }

    @Test
    fun `the end needs no request`() = withEvents(3) { store ->
        val noting = Noting(first = 3)
        store.read("order-1").publisher().subscribe(noting)
        assertEquals(listOf<Any?>(1L, 2L, 3L, "end"), List(4) { noting.next() })
    }

    @Test
    fun `a subscriber gets what it requests and then the end`() = withEvents(3) { store ->
        val noting = Noting()
        store.read("order-1").publisher().subscribe(noting)
        assertNull(noting.got.poll(50, TimeUnit.MILLISECONDS), "nothing was requested")
        noting.subscription.request(2)
        assertEquals(listOf<Any?>(1L, 2L), List(2) { noting.next() })
        assertNull(noting.got.poll(50, TimeUnit.MILLISECONDS), "two were requested")
        noting.subscription.request(Long.MAX_VALUE)
        noting.subscription.request(Long.MAX_VALUE)
        assertEquals(listOf<Any?>(3L, "end"), List(2) { noting.next() })
    }

    @Test
    fun `requests in a callback do not grow the stack`() = withEvents(10_000) { store ->
        val noting = Noting(first = 1, after = 1)
        store.read("order-1").publisher().subscribe(noting)
        assertEquals((1L..10_000L).toList() + "end", List(10_001) { noting.next() })
    }

    @Test
    fun `a live subscription is cancelled`() = withEvents(1) { store ->
        val before = Channel.nativeHandles
        val noting = Noting(first = Long.MAX_VALUE)
        store.subscribe().publisher().subscribe(noting)
        assertEquals(1L, noting.next())
        noting.subscription.cancel()
        noting.subscription.cancel()
        eventually("the reader stays") { Channel.nativeHandles <= before }
        store.append("order-1", listOf(Event.json("E", "{}"))).get()
        assertNull(noting.got.poll(50, TimeUnit.MILLISECONDS))
    }

    @Test
    fun `failures are told once`() = withEvents(1) { store ->
        val refused = Noting(first = 1)
        store.read("order-1", ReadOptions.defaults().withLimit(0)).publisher().subscribe(refused)
        assertIs<InvalidArgumentException>(refused.next())
        val negative = Noting()
        store.read("order-1").publisher().subscribe(negative)
        negative.subscription.request(0)
        assertIs<IllegalArgumentException>(negative.next())
        negative.subscription.request(1)
        val publisher = store.read("order-1").publisher()
        val (first, second) = Noting(first = 5) to Noting(first = 5)
        publisher.subscribe(first)
        publisher.subscribe(second)
        assertEquals(listOf<Any?>(1L, "end"), List(2) { first.next() })
        assertIs<IllegalStateException>(second.next())
        val full = Noting(first = 1)
        store.read("order-1").publisher(Executor { error("full") }).subscribe(full)
        assertEquals("full", assertIs<IllegalStateException>(full.next()).message)
        for (subscriber in listOf(refused, negative, first, second, full)) assertTrue(subscriber.got.isEmpty(), "${subscriber.got}")
    }

    @Test
    fun `a subscriber that throws gets nothing more, and its error is shown`() = withEvents(2) { store ->
        val shown = CompletableFuture<Throwable>()
        val thrower = object : Flow.Subscriber<RecordedEvent> {
            override fun onSubscribe(subscription: Flow.Subscription) = subscription.request(2)

            override fun onNext(event: RecordedEvent) = if (shown.isDone) error("called again") else error("planted")

            override fun onError(failure: Throwable) = error("called again")

            override fun onComplete() = error("called again")
        }
        val executor = Executor { task -> Thread(task).apply { setUncaughtExceptionHandler { _, thrown -> shown.complete(thrown) } }.start() }
        store.read("order-1").publisher(executor).subscribe(thrower)
        assertEquals("planted", shown.get(10, TimeUnit.SECONDS).message)
    }
}
