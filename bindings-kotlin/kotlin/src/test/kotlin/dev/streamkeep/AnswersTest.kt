package dev.streamkeep

import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.DelicateCoroutinesApi
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.GlobalScope
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout
import java.lang.management.ManagementFactory
import java.util.concurrent.CompletableFuture
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import kotlin.coroutines.CoroutineContext
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue

/** Answers cost no thread each, and no code of a caller holds up the answers of others. */
@Timeout(60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class AnswersTest {
    private fun <T> CompletableFuture<T>.soon(): T = get(10, TimeUnit.SECONDS)

    private fun <T> withStore(test: (AsyncEventStore) -> T): T {
        val store = AsyncEventStore.open("memory:").soon()
        return test(store).also { store.close().soon() }
    }

    @Test
    fun `a machine with one core starts no thread for each answer`() {
        val command = program("dev.streamkeep.ManyAnswers", "-XX:ActiveProcessorCount=1")
        val process = ProcessBuilder(command).redirectErrorStream(true).start()
        val said = process.inputStream.readAllBytes().decodeToString().trim()
        assertTrue(said.toInt() < MOST_THREADS, "threads started by ${ManyAnswers.CALLS} answers: $said")
    }

    @Test
    fun `a callback runs where its caller asks`() = withStore { store ->
        val waiting = store.subscribe(SubscribeOptions.defaults()).next().thenApply { Thread.currentThread().name }
        store.append("order-1", listOf(Event.json("E", "{}"))).soon()
        assertEquals("streamkeep-answers", waiting.soon())
        assertEquals("mine", store.head().thenApplyAsync({ Thread.currentThread().name }, { Thread(it, "mine").start() }).soon())
    }

    @Test
    fun `callbacks that block hold up no other answer`() = withStore { store ->
        val go = CountDownLatch(1)
        // Nothing is in the log, so that no answer is there before its callback is.
        val blocked = List(BLOCKED) { store.subscribe(SubscribeOptions.defaults()).next().thenApply { go.await() } }
        store.append("order-1", listOf(Event.json("E", "{}"))).soon()
        repeat(100) { assertEquals(1, store.head().soon()) }
        assertFalse(blocked.any { it.isDone })
        go.countDown()
        blocked.forEach { it.soon() }
        eventually("threads that took answers stay: ${threadsOfAnswers()}") { threadsOfAnswers() == 1 }
    }

    @Test
    fun `a callback may wait for the store`() = withStore { store ->
        BlockingEventStore.open("memory:").use { blocking ->
            assertEquals(0, store.head().thenApply { store.head().join() }.soon())
            assertEquals(0, store.head().thenApply { blocking.head() }.soon())
            assertEquals(0, store.head().thenApply { runBlocking { EventStore.open("memory:").use { it.head() } } }.soon())
            // Answers that arrive together: the first one's callback waits for the last one's.
            val last = CompletableFuture<Long>()
            val first = List(100) { store.head().thenAccept { if (Thread.currentThread().name == "streamkeep-answers") last.get(10, TimeUnit.SECONDS) } }
            store.head().thenAccept(last::complete)
            first.forEach { it.soon() }
        }
    }

    @OptIn(DelicateCoroutinesApi::class)
    @Test
    fun `a dispatcher or a callback that throws loses no other answer`() = withStore { store ->
        val refusing = object : CoroutineDispatcher() {
            @Volatile
            var refuses = false

            override fun dispatch(context: CoroutineContext, block: Runnable) = if (refuses) error("this dispatcher is shut down") else block.run()
        }
        val kotlin = runBlocking { EventStore.open("memory:") }
        val handled = ConcurrentHashMap.newKeySet<String>()
        val before = Thread.getDefaultUncaughtExceptionHandler()
        Thread.setDefaultUncaughtExceptionHandler { _, thrown -> handled += thrown.toString() }
        try {
            val begun = CountDownLatch(1)
            GlobalScope.launch(refusing) { kotlin.subscribe(onCaughtUp = { begun.countDown() }).collect {} }
            assertTrue(begun.await(10, TimeUnit.SECONDS))
            refusing.refuses = true
            runBlocking { kotlin.append("order-1", listOf(Event.json("E", "{}"))) }
            eventually("the dispatcher's error is shown nowhere") { handled.any { "shut down" in it || "DispatchException" in it } }
            assertEquals(0, store.head().thenApply<Long> { throw StackOverflowError("planted") }.exceptionally { 0 }.soon())
            assertEquals(0, store.head().soon())
        } finally {
            Thread.setDefaultUncaughtExceptionHandler(before)
        }
        runBlocking { kotlin.close() }
    }

    @Test
    fun `coroutines continue in their dispatcher`(): Unit = runBlocking {
        EventStore.open("memory:").use { store ->
            for (context in listOf(Dispatchers.Default, Dispatchers.IO)) {
                withContext(context) {
                    repeat(20) {
                        store.head()
                        assertFalse("streamkeep" in Thread.currentThread().name, "$context")
                    }
                }
            }
            withContext(Dispatchers.Unconfined) {
                store.head()
                runBlocking { store.head() }
                assertEquals(0, store.head())
            }
        }
    }

    private fun threadsOfAnswers() = Thread.getAllStackTraces().keys.count { it.name == "streamkeep-answers" }

    private companion object {
        const val BLOCKED = 3
        const val MOST_THREADS = 10
    }
}

/** Prints how many threads the answers of [CALLS] calls start. */
internal object ManyAnswers {
    const val CALLS = 1_000

    @JvmStatic
    fun main(args: Array<String>) {
        val store = AsyncEventStore.open("memory:").get()
        store.head().thenApply { it }.get()
        val threads = ManagementFactory.getThreadMXBean()
        val before = threads.totalStartedThreadCount
        repeat(CALLS) { store.head().thenApply { it }.get() }
        store.append("order-1", List(CALLS) { Event.json("E", "{}") }).get()
        store.readAll(ReadAllOptions.defaults()).forEach { }.get()
        println(threads.totalStartedThreadCount - before)
    }
}
