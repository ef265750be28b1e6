import dev.streamkeep.BlockingEventStore;
import dev.streamkeep.ConflictException;
import dev.streamkeep.Event;
import dev.streamkeep.EventReader;
import dev.streamkeep.Expected;
import dev.streamkeep.Payload;
import dev.streamkeep.RecordedEvent;
import dev.streamkeep.Snapshot;
import dev.streamkeep.SubscribeOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;

/** The first program, which an empty project runs with the installed artifact. */
public final class FirstProgram {
    public static void main(String[] args) throws IOException {
        var given = System.getenv("STREAMKEEP_URL");
        var url = given != null ? given : "sqlite:" + Files.createTempDirectory("streamkeep").resolve("orders.db");
        try (var store = BlockingEventStore.open(url)) {
            var placed = Event.json("OrderPlaced", "{\"total\":12.5}");
            var paid = Event.json("OrderPaid", "{\"amount\":12.5}");
            var at = store.append("order-42", List.of(placed, paid), Expected.noStream());
            System.out.println("appended order-42 up to version " + at.getVersion());

            try {
                store.append("order-42", List.of(Event.json("OrderPlaced", "{}")), Expected.noStream());
                throw new IllegalStateException("the append must conflict");
            } catch (ConflictException conflict) {
                System.out.println("conflict on " + conflict.getStream() + ": expected " + conflict.getExpected() + ", actual " + conflict.getActual());
            }

            for (RecordedEvent e : store.read("order-42")) {
                System.out.println(e.getVersion() + " " + e.getType() + " " + e.getData().getText());
            }

            store.saveSnapshot(new Snapshot("order-42", at.getVersion(), "order/1", Payload.json("{\"paid\":true}")));
            var snapshot = store.loadSnapshot("order-42", "order/1").orElseThrow();
            System.out.println("snapshot " + snapshot.getSchema() + " at version " + snapshot.getVersion() + ": " + snapshot.getData().getText());

            try (var events = store.subscribe(SubscribeOptions.defaults().withOnCaughtUp(EventReader::close))) {
                for (RecordedEvent e : events) {
                    System.out.println("event " + e.getVersion() + " of " + e.getStream());
                }
            }
            System.out.println("caught up");
        }
        System.out.println("closed");
    }

    private FirstProgram() {}
}
