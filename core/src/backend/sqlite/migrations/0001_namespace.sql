-- The tables of a namespace. `{ns}` is its name, which matches [a-z][a-z0-9_]{0,39}.
--
-- events: data has JSON text, data_bytes has other bytes; never both. NULL as metadata means {}, NULL as tags means
-- none; other tags are a JSON array of texts. id is a UUID's 16 bytes. recorded_at counts microseconds since 1970-01-01
-- UTC. A row whose type is NULL is a removed event: its position, stream, version and id are never used again.
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

-- Without this trigger, the position of a deleted last row would be used again. AUTOINCREMENT would prevent that too,
-- but writes one more page in each commit.
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
