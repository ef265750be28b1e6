-- What a namespace's log is made of. `{ns}` is the namespace, named [a-z][a-z0-9_]{0,39}.
--
-- events: data holds JSON text, data_bytes anything else, never both. metadata NULL is {}, tags NULL is none, else a JSON array of texts.
-- id is a UUID's 16 bytes. recorded_at counts microseconds since 1970-01-01 UTC. A row whose type is NULL is what is left of a removed
-- event: its position, stream, version and id are never used again.
CREATE TABLE streamkeep_{ns}_events (
    position INTEGER PRIMARY KEY CHECK (position BETWEEN 1 AND 9007199254740991),
    stream TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version BETWEEN 1 AND 9007199254740991),
    id BLOB NOT NULL CHECK (length(id) = 16),
    recorded_at INTEGER NOT NULL,
    type TEXT,
    schema TEXT,
    tags TEXT,
    metadata TEXT,
    data TEXT,
    data_bytes BLOB,
    CHECK (data IS NULL OR data_bytes IS NULL)
) STRICT;

-- Without this the position of a last row that was deleted would be given again. A counter (AUTOINCREMENT) would cost a page more in each commit.
CREATE TRIGGER streamkeep_{ns}_events_stay BEFORE DELETE ON streamkeep_{ns}_events BEGIN
    SELECT RAISE(ABORT, 'events are never deleted: their positions, versions and ids must not be used again');
END;

CREATE UNIQUE INDEX streamkeep_{ns}_events_version ON streamkeep_{ns}_events (stream, version);
CREATE UNIQUE INDEX streamkeep_{ns}_events_id ON streamkeep_{ns}_events (id);

CREATE TABLE streamkeep_{ns}_tags (
    tag TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (tag, position)
) STRICT, WITHOUT ROWID;

-- event_id is the id of the event at `version`, by which a snapshot of another history is recognised.
CREATE TABLE streamkeep_{ns}_snapshots (
    stream TEXT NOT NULL,
    schema TEXT NOT NULL,
    version INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    data TEXT,
    data_bytes BLOB,
    PRIMARY KEY (stream, schema, version)
) STRICT;
