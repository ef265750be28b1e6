package dev.streamkeep;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Events that futures give: batch by batch, or each to a consumer. */
@Timeout(30)
class AsyncEventsTest {
    private static List<Event> events(int count) {
        var events = new ArrayList<Event>();
        for (var n = 1; n <= count; n++) {
            events.add(Event.json("E", Integer.toString(n)));
        }
        return events;
    }

    @Test
    void asyncEventsHandOnEachEventUntilClosed() throws Exception {
        var store = AsyncEventStore.open("memory:").get();
        store.append("order-1", events(2_500)).get();
        var versions = new ArrayList<Long>();
        store.read("order-1").forEach(e -> versions.add(e.getVersion())).get();
        assertEquals(2_500, versions.size());
        var seen = new ArrayList<String>();
        var events = store.subscribe(SubscribeOptions.defaults().withAfter(2_498).withOnCaughtUp(EventReader::close));
        events.forEach(e -> seen.add(e.getData().getText())).get();
        assertEquals(List.of("2499", "2500"), seen);
        var failing = store.read("order-1").forEach(e -> {
            throw new IllegalArgumentException("enough");
        });
        assertInstanceOf(IllegalArgumentException.class, assertThrows(ExecutionException.class, failing::get).getCause());
        store.close().get();
    }

    @Test
    void aBatchWhoseCallerGaveUpGoesToTheNextOne() throws Exception {
        var store = AsyncEventStore.open("memory:").get();
        var following = store.subscribe(SubscribeOptions.defaults().withStart(Start.Now));
        var witness = store.subscribe();
        assertInstanceOf(TimeoutException.class, assertThrows(ExecutionException.class, () -> following.next().orTimeout(50, TimeUnit.MILLISECONDS).get()).getCause());
        var cancelled = following.next();
        assertTrue(cancelled.cancel(false));
        for (var version = 1L; version <= 3; version++) {
            store.append("order-1", events(1)).get();
            // Both subscriptions get it from one reader of the log.
            assertEquals(1, witness.next().get(10, TimeUnit.SECONDS).size());
            assertTrue(cancelled.isCancelled());
            assertEquals(List.of(version), following.next().get(10, TimeUnit.SECONDS).stream().map(RecordedEvent::getVersion).toList());
            cancelled = following.next();
            cancelled.cancel(false);
        }
        following.close();
        assertEquals(List.of(), following.next().get(10, TimeUnit.SECONDS));
        store.close().get();
    }

    @Test
    void aCancelledForEachGivesNoMoreEvents() throws Exception {
        var store = AsyncEventStore.open("memory:").get();
        var given = new AtomicInteger();
        var following = store.subscribe(SubscribeOptions.defaults().withStart(Start.Now));
        following.forEach(event -> given.incrementAndGet()).cancel(false);
        store.append("order-1", events(5)).get();
        assertEquals(List.of(), following.next().get(10, TimeUnit.SECONDS));
        assertEquals(0, given.get());
        var reader = store.read("order-1");
        reader.forEach(event -> {
            given.incrementAndGet();
            reader.close();
        }).get(10, TimeUnit.SECONDS);
        assertEquals(1, given.get());
        store.close().get();
    }

    @Test
    void whatOnCaughtUpThrowsFailsTheFuture() throws Exception {
        var store = AsyncEventStore.open("memory:").get();
        store.append("order-1", events(1)).get();
        try (var following = store.subscribe(SubscribeOptions.defaults().withOnCaughtUp(reader -> {
            throw new IllegalStateException("mine");
        }))) {
            assertEquals(1, following.next().get(10, TimeUnit.SECONDS).size());
            var next = following.next();
            assertInstanceOf(IllegalStateException.class, assertThrows(ExecutionException.class, () -> next.get(10, TimeUnit.SECONDS)).getCause());
        }
        store.close().get();
    }
}
