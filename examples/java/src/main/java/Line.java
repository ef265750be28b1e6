import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;

/** A line of the demo's file, with the exact texts of its data and metadata. */
final class Line {
    private static final JsonFactory JSON = new JsonFactory();

    String stream = "";
    String type = "";
    Instant time = Instant.EPOCH;
    String data = "{}";
    String metadata = "{}";
    final List<String> tags = new ArrayList<>();

    static Line of(String text) {
        var made = new Line();
        try (var line = JSON.createParser(text)) {
            if (line.nextToken() != JsonToken.START_OBJECT) {
                throw new IllegalArgumentException("a line must be a JSON object");
            }
            while (line.nextToken() != JsonToken.END_OBJECT) {
                made.take(line, text);
            }
        } catch (IOException malformed) {
            throw new IllegalArgumentException("a line must be JSON", malformed);
        }
        return made;
    }

    private void take(JsonParser line, String text) throws IOException {
        var name = line.currentName();
        line.nextToken();
        switch (name) {
            case "stream" -> stream = line.getText();
            case "type" -> type = line.getText();
            case "time" -> time = OffsetDateTime.parse(line.getText()).toInstant();
            case "data" -> data = raw(line, text);
            case "metadata" -> metadata = raw(line, text);
            case "tags" -> {
                while (line.nextToken() != JsonToken.END_ARRAY) {
                    tags.add(line.getText());
                }
            }
            default -> throw new IllegalArgumentException("a line has an unknown key '" + name + "'");
        }
    }

    private static String raw(JsonParser line, String text) throws IOException {
        var start = (int) line.currentTokenLocation().getCharOffset();
        line.skipChildren();
        line.finishToken();
        return text.substring(start, (int) line.currentLocation().getCharOffset());
    }
}
