import dev.streamkeep.BlockingEventStore;
import dev.streamkeep.Event;
import dev.streamkeep.Expected;
import dev.streamkeep.ReadOptions;
import dev.streamkeep.RecordedEvent;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;

/** Orders: append and read. */
public final class Orders {
    public static void main(String[] args) throws IOException {
        var given = System.getenv("STREAMKEEP_URL");
        var url = given != null ? given : "sqlite:" + Files.createTempDirectory("streamkeep").resolve("orders.db");
        try (var store = BlockingEventStore.open(url)) {
            store.append("order-42", List.of(Event.json("OrderPlaced", "{\"total\":12.5}")), Expected.noStream());
            for (RecordedEvent e : store.read("order-42", ReadOptions.defaults().withFromVersion(1))) {
                System.out.println(e.getVersion() + " " + e.getType());
            }
        }
    }

    private Orders() {}
}
