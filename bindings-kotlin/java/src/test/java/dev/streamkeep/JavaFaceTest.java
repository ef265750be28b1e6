package dev.streamkeep;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.UUID;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** The parts that only Java has: futures, iterators, interrupts, options, values by Jackson. */
@Timeout(30)
class JavaFaceTest {
    private static List<Event> events(int count) {
        var events = new ArrayList<Event>();
        for (var n = 1; n <= count; n++) {
            events.add(Event.json("E", Integer.toString(n)));
        }
        return events;
    }

    @Test
    void futuresAnswerAndCompose() throws Exception {
        var answer = AsyncEventStore.open("memory:").thenCompose(store -> store.append("order-1", events(2), Expected.noStream())
            .thenCompose(at -> store.saveSnapshot(new Snapshot("order-1", at.getVersion(), "order/1", Payload.json("{}"))))
            .thenCompose(saved -> store.loadSnapshot("order-1", "order/1"))
            .thenCompose(snapshot -> store.read("order-1").next().thenApply(page -> snapshot.orElseThrow().getVersion() + page.size()))
            .thenCompose(sum -> store.close().thenApply(closed -> sum)));
        assertEquals(4, answer.get(10, TimeUnit.SECONDS));
    }

    @Test
    void futuresFailWithTheTypedException() throws Exception {
        var store = AsyncEventStore.open("memory:").get();
        var refused = assertThrows(ExecutionException.class, () -> store.append("order-1", events(1), Expected.exact(5)).get());
        var conflict = assertInstanceOf(ConflictException.class, refused.getCause());
        assertEquals(Expected.exact(5), conflict.getExpected());
        var halfPair = store.append("order-\ud800", events(1));
        assertInstanceOf(InvalidArgumentException.class, assertThrows(ExecutionException.class, halfPair::get).getCause());
        store.close().get();
        assertInstanceOf(ClosedException.class, assertThrows(ExecutionException.class, () -> store.head().get()).getCause());
        store.close().get();
    }

    @Test
    void aCancelledFutureIsWithdrawn() throws Exception {
        var store = AsyncEventStore.open("memory:").get();
        var following = store.subscribe(SubscribeOptions.defaults().withStart(Start.Now));
        var next = store.append("order-1", events(1)).thenCompose(at -> following.next());
        following.close();
        assertEquals(List.of(), next.get());
        for (var append : List.of(store.append("order-2", events(1)), store.append("order-3", events(1)))) {
            append.cancel(false);
        }
        store.close().get();
        assertEquals(new kotlin.Pair<>(0, 0), CancellationTestKt.quiet());
    }

    @Test
    void aSubscriptionIsClosedFromAnotherThread() throws Exception {
        try (var store = BlockingEventStore.open("memory:")) {
            var live = new CountDownLatch(1);
            var events = store.subscribe(SubscribeOptions.defaults().withOnCaughtUp(reader -> live.countDown()));
            var follower = CompletableFuture.supplyAsync(() -> {
                var count = 0;
                for (RecordedEvent e : events) {
                    count++;
                }
                return count;
            });
            store.append("order-1", events(1));
            assertTrue(live.await(10, TimeUnit.SECONDS));
            events.close();
            assertTrue(follower.get(10, TimeUnit.SECONDS) <= 1);
        }
    }

    @Test
    void eventsAreIteratedOnce() {
        try (var store = BlockingEventStore.open("memory:"); var events = store.read("order-1")) {
            assertFalse(events.iterator().hasNext());
            assertThrows(IllegalStateException.class, events::iterator);
        }
    }

    @Test
    void aThreadThatWaitsCanBeInterrupted() throws Exception {
        try (var store = BlockingEventStore.open("memory:")) {
            var live = new CountDownLatch(1);
            var outcome = new CompletableFuture<Boolean>();
            var follower = new Thread(() -> {
                try (var events = store.subscribe(SubscribeOptions.defaults().withOnCaughtUp(reader -> live.countDown()))) {
                    events.iterator().hasNext();
                    outcome.complete(false);
                } catch (CancellationException interrupted) {
                    outcome.complete(Thread.currentThread().isInterrupted());
                }
            });
            follower.start();
            assertTrue(live.await(10, TimeUnit.SECONDS));
            follower.interrupt();
            assertTrue(outcome.get(10, TimeUnit.SECONDS));
        }
    }

    @Test
    void anInterruptedThreadClosesItsStoreAllTheSame() {
        var store = BlockingEventStore.open("memory:");
        var following = store.subscribe(SubscribeOptions.defaults().withStart(Start.Now)).iterator();
        Thread.currentThread().interrupt();
        // No event follows: only the interrupt ends this wait.
        assertThrows(CancellationException.class, following::hasNext);
        assertTrue(Thread.currentThread().isInterrupted());
        store.close();
        assertTrue(Thread.interrupted());
        assertThrows(ClosedException.class, store::head);
    }

    @Test
    void optionsAreSetByWithers() {
        var options = OpenOptions.defaults().withNamespace("tenant_a").withTimeout(Duration.ofSeconds(5)).withMaxConnections(1).withCreate(true)
            .withDurability(Durability.Full).withPollInterval(Duration.ofMillis(50)).withInsecure(false);
        try (var store = BlockingEventStore.open("memory:", options)) {
            store.append("order-1", events(5), AppendOptions.defaults().withTimeout(Duration.ofSeconds(1)));
            var backward = ReadOptions.defaults().withFromVersion(2).withToVersion(4).withDirection(Direction.Backward).withLimit(2);
            var versions = new ArrayList<Long>();
            store.read("order-1", backward).forEach(e -> versions.add(e.getVersion()));
            assertEquals(List.of(4L, 3L), versions);
            var page = store.readPage(ReadPageOptions.defaults().withQuery(Query.of(new QueryItem().withTypes("E").withStreams("order-1"))).withAfter(3));
            assertEquals(2, page.getEvents().size());
            assertEquals("from_version", assertThrows(InvalidArgumentException.class, () -> store.read("order-1", ReadOptions.defaults().withFromVersion(-1)).iterator().hasNext()).getArgument());
            var late = assertThrows(UnavailableException.class, () -> store.append("order-1", events(1), AppendOptions.defaults().withTimeout(Duration.ZERO)));
            assertTrue(late.getRetryable());
            assertEquals(1, late.getIds().size());
        }
    }

    @Test
    void everyCallTakesATimeoutAndItsErrorNamesTheCall(@TempDir Path folder) throws Exception {
        var negative = Duration.ofMillis(-1);
        try (var store = BlockingEventStore.open("sqlite:" + folder.resolve("test.db"))) {
            var snapshot = new Snapshot("order-1", 1, "order/1", Payload.json("{}"));
            store.append("order-1", events(1));
            var moved = List.of(new ImportEvent("order-2", Event.json("E", "{}")));
            // The same error from each call shows that core gets the timeout of that call.
            Map<String, Executable> refused = Map.of(
                "import_events", () -> store.importEvents(moved, negative),
                "save_snapshot", () -> store.saveSnapshot(snapshot, negative),
                "load_snapshot", () -> store.loadSnapshot("order-1", "order/1", 1, negative),
                "head", () -> store.head(negative),
                "append", () -> store.append("order-1", events(1), AppendOptions.defaults().withTimeout(negative)),
                "read", () -> store.read("order-1", ReadOptions.defaults().withTimeout(negative)).iterator().hasNext(),
                "read_all", () -> store.readAll(ReadAllOptions.defaults().withTimeout(negative)).iterator().hasNext(),
                "read_page", () -> store.readPage(ReadPageOptions.defaults().withTimeout(negative)));
            for (var call : refused.entrySet()) {
                var error = assertThrows(InvalidArgumentException.class, call.getValue(), call.getKey());
                assertEquals(List.of("timeout", call.getKey()), List.of(error.getArgument(), error.getOperation()));
            }
            assertEquals("append", assertThrows(ConflictException.class, () -> store.append("order-1", events(1), Expected.exact(7))).getOperation());
            assertEquals("append", assertThrows(InvalidArgumentException.class, () -> store.append("order-1", events(1), Expected.exact(-1))).getOperation());
            assertEquals("append", assertThrows(InvalidArgumentException.class, () -> store.append("order-\ud800", events(1))).getOperation());
            assertFalse(store.readPage().getEvents().isEmpty());
            assertTrue(store.readAll().iterator().hasNext());
            try (var all = store.subscribe()) {
                assertEquals("order-1", all.iterator().next().getStream());
            }
        }
        var closed = BlockingEventStore.open("memory:");
        closed.close();
        assertEquals("head", assertThrows(ClosedException.class, closed::head).getOperation());
        var config = assertThrows(ConfigException.class, () -> BlockingEventStore.open("memory:?nonsense=1"));
        assertEquals("open", config.getOperation());
    }

    @Test
    void valuesAreWrittenByJackson() {
        try (var store = BlockingEventStore.open("memory:")) {
            store.append("order-1", List.of(Event.of("OrderPlaced", Map.of("total", 12.5)), Event.of("Nothing", null)));
            var texts = new ArrayList<String>();
            store.read("order-1").forEach(e -> texts.add(e.getData().getText()));
            assertEquals(List.of("{\"total\":12.5}", "null"), texts);
            assertEquals(Map.of("total", 12.5), Jackson.decode(Payload.json(texts.get(0)), Map.class));
            assertThrows(InvalidArgumentException.class, () -> Event.of("Bad", new Object()));
        }
    }

    @Test
    void whatJsonLacksIsRefusedAtAnyDepth() {
        try (var store = BlockingEventStore.open("memory:")) {
            for (Object value : List.of(Double.NaN, Float.POSITIVE_INFINITY, new double[] {1, Double.NEGATIVE_INFINITY}, Map.of("a", List.of(Map.of("b", Double.NaN))))) {
                var refused = assertThrows(InvalidArgumentException.class, () -> store.append("order-1", List.of(Event.of("E", value))));
                assertEquals("data", refused.getArgument());
            }
            assertEquals(0, store.head());
        }
    }

    @Test
    @SuppressWarnings({"rawtypes", "unchecked"})
    void aRecordedEventIsNotAppendedAgain() {
        try (var store = BlockingEventStore.open("memory:")) {
            store.append("order-1", events(1));
            // A list of recorded events does not compile where events are asked for; a raw list does.
            List<Event> recorded = (List) List.of(store.read("order-1").iterator().next());
            var refused = assertThrows(InvalidArgumentException.class, () -> store.append("order-1", recorded));
            assertEquals(List.of("events", "append"), List.of(refused.getArgument(), refused.getOperation()));
            assertTrue(refused.getMessage().contains("Make a new event of its content"), refused.getMessage());
            assertThrows(InvalidArgumentException.class, () -> store.append("order-1", java.util.Collections.singletonList(null)));
            assertEquals(1, store.head());
        }
    }

    @Test
    void timesAreInTheYears1To9999() {
        try (var store = BlockingEventStore.open("memory:")) {
            for (var year : List.of("0000", "-0001", "+10000", "-999999999", "+999999999")) {
                var at = Instant.parse(year + "-12-31T23:59:59Z");
                var refused = assertThrows(InvalidArgumentException.class, () -> store.importEvents(List.of(new ImportEvent("order-1", events(1).get(0), null, at))), year);
                assertEquals("recorded_at", refused.getArgument());
                assertTrue(refused.getMessage().contains("1 to 9999"), refused.getMessage());
            }
            for (var time : List.of("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z")) {
                store.importEvents(List.of(new ImportEvent("order-2", events(1).get(0), null, Instant.parse(time))));
            }
            var times = new ArrayList<String>();
            store.read("order-2").forEach(e -> times.add(e.getRecordedAt().toString()));
            assertEquals(List.of("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"), times);
        }
    }

    @Test
    void anEventKeepsItsIdSoThatItsAppendCanBeRepeated() {
        try (var store = BlockingEventStore.open("memory:")) {
            var placed = List.of(Event.json("OrderPlaced", "{}").withTags("customer:7").withMetadata("{\"createdBy\":\"amy\"}").withSchema("placed/1"));
            assertEquals(7, placed.get(0).getId().version());
            assertFalse(store.append("order-1", placed).getRepeated());
            assertTrue(store.append("order-1", placed).getRepeated());
            assertEquals(UUID.fromString("01932000-0000-7000-8000-000000000001"), placed.get(0).withId(UUID.fromString("01932000-0000-7000-8000-000000000001")).getId());
        }
    }

    @Test
    void aCancelledOpenLeavesNoStore() throws Exception {
        for (var opening : List.of(AsyncEventStore.open("memory:"), AsyncEventStore.open("memory:"), AsyncEventStore.open("memory:"))) {
            if (!opening.cancel(false)) {
                opening.get().close().get();
            }
        }
        assertEquals(new kotlin.Pair<>(0, 0), CancellationTestKt.quiet());
    }

    @Test
    void anEventThatHasNextPromisedIsGiven() {
        try (var store = BlockingEventStore.open("memory:")) {
            store.append("order-1", events(2));
            var reader = store.read("order-1");
            var events = reader.iterator();
            assertTrue(events.hasNext());
            reader.close();
            assertEquals(1, events.next().getVersion());
            assertFalse(events.hasNext());
            assertThrows(NoSuchElementException.class, events::next);
        }
    }

    @Test
    void durationsThatNoDateReachesAreRefused() {
        try (var store = BlockingEventStore.open("memory:")) {
            for (var seconds : List.of(-1L, -10_000_000_000_000L, Long.MIN_VALUE)) {
                assertThrows(InvalidArgumentException.class, () -> store.head(Duration.ofSeconds(seconds)));
            }
            assertEquals(0, store.head(Duration.ofSeconds(Long.MAX_VALUE)));
        }
    }

    @Test
    @SuppressWarnings({"unchecked", "rawtypes"})
    void importsRefuseWhatIsNoImportEvent() {
        try (var store = BlockingEventStore.open("memory:")) {
            for (var given : Arrays.asList(null, Event.json("E", "{}"))) {
                var refused = assertThrows(InvalidArgumentException.class, () -> store.importEvents((List) Arrays.asList(given)));
                assertEquals("import_events", refused.getOperation());
            }
        }
    }

    @Test
    void anInterruptStaysWithTheThreadThatCallsAClosedStore() throws Exception {
        var store = AsyncEventStore.open("memory:").get();
        store.close().get();
        Thread.currentThread().interrupt();
        var head = store.head();
        assertTrue(Thread.interrupted());
        assertInstanceOf(ClosedException.class, assertThrows(ExecutionException.class, head::get).getCause());
    }

    @Test
    void valuesDoNotChangeWithTheListsTheyWereMadeOf() {
        var texts = new ArrayList<>(List.of("a"));
        var event = new Event("E", Payload.json("{}"), "{}", texts);
        var items = new ArrayList<>(List.of(new QueryItem(texts, texts)));
        var query = new Query(items);
        texts.add("b");
        items.clear();
        assertEquals(List.of("a"), event.getTags());
        assertEquals(Query.of(new QueryItem(List.of("a"), List.of("a"))), query);
        try (var store = BlockingEventStore.open("memory:")) {
            store.append("order-1", List.of(event));
            var tags = store.last("order-1").orElseThrow().getTags();
            assertThrows(UnsupportedOperationException.class, () -> tags.add("b"));
        }
    }
}
