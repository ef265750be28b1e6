//! The names of tables and locks, and the SQL statements of a namespace.
//!
//! Only the namespace's checked name, numbers, and constants of this module are put into a statement's text. Callers'
//! values are only passed as parameters.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use uuid::Uuid;

use crate::faults::planted;
use crate::options::{Durability, OpenOptions};
use crate::stream::check_namespace;

/// The schema of the registry, in which each database lists its namespaces.
pub(super) const REGISTRY: &str = "streamkeep";
/// Begins each transaction that the store itself opens.
pub(super) const BEGIN: &str = "begin isolation level read committed; ";
/// The names of the unique constraints, by which their violations are told apart.
pub(super) const POSITION_KEY: &str = "events_position";
pub(super) const VERSION_KEY: &str = "events_stream_version";
pub(super) const ID_KEY: &str = "events_id";
/// Joins an event's tags into one text. Tags have no control characters.
pub(super) const TAG_SEPARATOR: char = '\u{1f}';

/// Sent instead of an expected version: any version will do.
pub(super) const EXPECT_ANY: i64 = -1;
/// Sent instead of an expected version: the stream must exist.
pub(super) const EXPECT_EXISTS: i64 = -2;

/// The columns of an event, in the order in which [`super::row::event`] reads them.
pub(super) const COLUMNS: &str =
    "position, stream, version, id, type, schema, tags, data, data_bytes, metadata, recorded_at";

/// Declares that a text holds no value of a caller.
pub(super) fn safe(text: String) -> SqlStr {
    AssertSqlSafe(std::sync::Arc::<str>::from(text)).into_sql_str()
}

/// The lock class of a namespace: the first key of its advisory locks. Announcements use the class itself, the gate the
/// class + 2, and the turns of streams the class + 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LockClass(pub(super) i32);

impl LockClass {
    /// The class of the gate. Appends share this lock; one that keeps losing races takes it exclusively.
    pub(super) const fn gate(self) -> i32 {
        self.0 + 2
    }

    /// The class of the locks by which stores that append to a contended stream take turns.
    const fn turns(self) -> i32 {
        self.0 + 3
    }
}

/// A namespace as the registry lists it. If its class or epoch changes, it is another log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) namespace: String,
    pub(super) class: LockClass,
    pub(super) epoch: Uuid,
}

/// The names of a namespace.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) namespace: String,
    pub(super) schema: String,
}

impl Names {
    pub(super) fn new(namespace: &str) -> crate::error::Result<Self> {
        check_namespace(namespace)?;
        Ok(Self { namespace: namespace.to_owned(), schema: format!("streamkeep_{namespace}") })
    }

    pub(super) fn events(&self) -> String {
        format!("{}.events", self.schema)
    }

    pub(super) fn tags(&self) -> String {
        format!("{}.tags", self.schema)
    }

    pub(super) fn snapshots(&self) -> String {
        format!("{}.snapshots", self.schema)
    }

    pub(super) fn sequence(&self) -> String {
        format!("'{}.positions'::regclass", self.schema)
    }

    /// The last drawn position. The sequence's own `last_value` is not used: it also shows a value that was never
    /// drawn.
    pub(super) fn last_value(&self) -> String {
        if planted("postgres-last-value") {
            return format!("(select last_value from {}.positions)", self.schema);
        }
        format!("coalesce(pg_sequence_last_value({}), 0)", self.sequence())
    }
}

/// The statements of a namespace. Each connection prepares them once.
#[derive(Debug)]
pub(super) struct Statements {
    /// Whether statements stay prepared. Behind a transaction pooler the next transaction may run in another session.
    pub(super) persistent: bool,
    pub(super) append: SqlStr,
    pub(super) append_tagged: SqlStr,
    pub(super) append_patient: SqlStr,
    pub(super) append_patient_tagged: SqlStr,
    pub(super) append_within: SqlStr,
    pub(super) append_within_tagged: SqlStr,
    pub(super) facts: SqlStr,
    pub(super) confirm: SqlStr,
    pub(super) lock_gate: SqlStr,
    pub(super) change_mark: SqlStr,
    pub(super) head: SqlStr,
    pub(super) stream_version: SqlStr,
    pub(super) event_id: SqlStr,
    pub(super) stream_forward: SqlStr,
    pub(super) stream_backward: SqlStr,
    pub(super) save_snapshot: SqlStr,
    pub(super) load_snapshot: SqlStr,
    pub(super) announce: SqlStr,
    pub(super) ended: SqlStr,
    pub(super) end: SqlStr,
}

impl Statements {
    pub(super) fn new(names: &Names, identity: &Identity, options: &OpenOptions) -> Self {
        let durability = options.durability;
        // Behind a transaction pooler a server process also serves others. There an attempt is identified by the start
        // of its transaction, and the store waits for its end instead of ending the process.
        let (started, may_end) =
            if options.pooler.is_some() { ("xact_start", "false") } else { ("backend_start", "true") };
        let (snapshots, class) = (names.snapshots(), identity.class);
        let gate = format!(", pg_advisory_xact_lock_shared({}, 0)", class.gate());
        let (own, patient, within) =
            (announced(names, class, &gate), announced(names, class, ""), "select $1::bigint as floor".to_owned());
        Self {
            persistent: options.pooler.is_none(),
            append: safe(append(names, class, &own, false)),
            append_tagged: safe(append(names, class, &own, true)),
            append_patient: safe(append(names, class, &patient, false)),
            append_patient_tagged: safe(append(names, class, &patient, true)),
            append_within: safe(append(names, class, &within, false)),
            append_within_tagged: safe(append(names, class, &within, true)),
            facts: safe(facts(names)),
            // A commit waits for the disk and the standbys only if its transaction wrote to the WAL.
            confirm: SqlStr::from_static("select pg_logical_emit_message(true, 'streamkeep', '')::text"),
            // The lock has its own statement, so that later statements get snapshots from after it was granted.
            lock_gate: safe(format!(
                "{BEGIN}set local lock_timeout = 100; select pg_advisory_xact_lock({}, 0)",
                class.gate()
            )),
            change_mark: safe(format!("select {}", names.last_value())),
            head: safe(format!(
                "select position from {} where position <= $1 order by position desc limit 1",
                names.events()
            )),
            stream_version: safe(format!(
                "select version from {} where stream = $1 order by version desc limit 1",
                names.events()
            )),
            event_id: safe(format!("select id from {} where stream = $1 and version = $2", names.events())),
            stream_forward: safe(stream_page_statement(names, "")),
            stream_backward: safe(stream_page_statement(names, "desc")),
            save_snapshot: safe(format!(
                "insert into {snapshots} as s (stream, schema, version, event_id, checksum, data, data_bytes) values ($1, $2, $3, $4, $5, $6::json, $7) \
                 on conflict (stream, schema, version) do update \
                 set event_id = excluded.event_id, checksum = excluded.checksum, data = excluded.data, data_bytes = excluded.data_bytes, saved_at = now()"
            )),
            load_snapshot: safe(format!(
                "select version, event_id, checksum, data, data_bytes from {snapshots} where stream = $1 and schema = $2 and version <= $3 \
                 order by version desc limit 1"
            )),
            announce: safe(announce_once(names, identity, durability)),
            ended: safe(format!(
                "select count(*) from pg_stat_activity where pid = $1 and {started} = $2::timestamptz"
            )),
            // A process that waits for a standby is not ended: its commit would be visible without being durable there.
            end: safe(format!(
                "select pg_terminate_backend(pid) from pg_stat_activity \
                 where {may_end} and pid = $1 and {started} = $2::timestamptz and wait_event is distinct from 'SyncRep'"
            )),
        }
    }
}

/// The key of an announcement: the position's low 32 bits, as a signed number.
fn key(position: &str) -> String {
    format!("((({position} + 2147483648) & 4294967295) - 2147483648)::int")
}

/// Begins a transaction and locks the turns of streams, in one order for all, so that no two transactions wait for each
/// other. Two streams may share a key, which only costs time.
pub(super) fn lock_streams<'a>(class: LockClass, streams: impl Iterator<Item = &'a str>) -> SqlStr {
    let key = |stream: &str| i32::from_be_bytes(crc32fast::hash(stream.as_bytes()).to_be_bytes());
    let keys: BTreeSet<i32> = streams.map(key).collect();
    let locks = keys.iter().map(|key| format!("; select pg_advisory_xact_lock({}, {key})", class.turns()));
    safe(format!("{BEGIN}set local lock_timeout = 100{}", locks.collect::<String>()))
}

pub(super) fn announcement(class: LockClass, floor: &str) -> String {
    format!("pg_advisory_xact_lock_shared({}, {})", class.0, key(floor))
}

/// The announcement in a statement that is its own transaction. The nested subqueries fix the order: set the time
/// limit, take the gate, read the floor, announce it.
fn announced(names: &Names, class: LockClass, gate: &str) -> String {
    let late = planted("postgres-unannounced") || planted("postgres-announce-after-draw");
    let announcement = if late { "null".to_owned() } else { announcement(class, "l.floor") };
    format!(
        "select l.floor, {announcement} as announced from (select {last_value} as floor from \
         (select set_config('lock_timeout', $1, true){gate} offset 0) as gate offset 0) as l",
        last_value = names.last_value(),
    )
}

/// The append statement: announce, then draw positions and insert the appends whose expected version holds.
///
/// Its snapshot is older than its announcement. That is safe, because the unique index refuses a version that another
/// writer added meanwhile. Each stream's version is looked up once, before the inserts: later look-ups would step over
/// each row that the statement itself inserted. Positions are drawn after the sort, in the order of the rows.
fn append(names: &Names, class: LockClass, announced: &str, tagged: bool) -> String {
    let (events, sequence, last_value) = (names.events(), names.sequence(), names.last_value());
    let position = if planted("postgres-check-after-draw") {
        format!(
            "case when t.o = 1 then coalesce(nullif(current_setting('streamkeep.drawn', true), '')::bigint, nextval({sequence})) else nextval({sequence}) end"
        )
    } else {
        format!("nextval({sequence})")
    };
    let late = if planted("postgres-announce-after-draw") {
        format!(", {}", self::announcement(class, &last_value))
    } else {
        String::new()
    };
    let tags = if tagged {
        format!(
            ", g as (insert into {} (tag, position) select distinct u.tag, w.position from w cross join lateral unnest(w.tags) as u(tag) order by 1, 2)",
            names.tags()
        )
    } else {
        String::new()
    };
    let returned_tags = if tagged { ", w.tags" } else { "" };
    format!(
        "with a as materialized ({announced}), \
         h as materialized (select array_agg(case when s.expected = {EXPECT_ANY} or (s.expected = {EXPECT_EXISTS} and v.version is not null) \
         or s.expected = coalesce(v.version, 0) then coalesce(v.version, 0) else -1 end order by s.o) as heads \
         from unnest($2::text[], $3::bigint[]) with ordinality as s(stream, expected, o) \
         left join lateral (select e.version from {events} as e where e.stream = s.stream order by e.version desc limit 1) as v on true), \
         w as (insert into {events} as w (position, stream, version, id, type, schema, tags, data, data_bytes, metadata, recorded_at, size) \
         select {position}, t.stream, h.heads[t.head] + t.n, t.id, t.type, t.schema, string_to_array(t.tags, chr(31)), \
         t.data::json, t.data_bytes, t.metadata::json, coalesce(t.recorded_at, statement_timestamp()), t.size \
         from a, h, unnest($4::text[], $5::int[], $6::bigint[], $7::uuid[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bytea[], $13::text[], \
         $14::timestamptz[], $15::int[]) with ordinality as t(stream, head, n, id, type, schema, tags, data, data_bytes, metadata, recorded_at, size, o) \
         where h.heads[t.head] >= 0 \
         order by t.o returning w.stream, w.version, w.position{returned_tags}){tags} \
         select w.stream, w.version, w.position, a.floor{late} from w, a"
    )
}

/// The facts of a decision, in one snapshot: the streams' versions, as rows without a position, and each known event
/// among the ids.
fn facts(names: &Names) -> String {
    let events = names.events();
    format!(
        "select null::bigint as position, s.stream, h.version, null::uuid as id, null::text as type, null::text as schema, null::text[] as tags, \
         null::json as data, null::bytea as data_bytes, null::json as metadata, null::timestamptz as recorded_at \
         from unnest($1::text[]) as s(stream) \
         cross join lateral (select e.version from {events} as e where e.stream = s.stream order by e.version desc limit 1) as h \
         union all select {COLUMNS} from {events} where id = any($2::uuid[])"
    )
}

/// Announces once in the caller's transaction. A setting remembers the floor, and a rollback to a savepoint undoes both
/// it and the lock. Also returns whether the transaction is on this namespace, and makes its commit durable.
fn announce_once(names: &Names, identity: &Identity, durability: Durability) -> String {
    let setting = format!("streamkeep.announced_{}", names.namespace);
    let announcement = announcement(identity.class, "l.floor");
    let durable = match durability {
        Durability::Full => {
            "case when current_setting('synchronous_commit') in ('off', 'local', 'remote_write') then set_config('synchronous_commit', 'on', true) end"
        }
        Durability::Relaxed => "null::text",
    };
    let remembered = if planted("postgres-savepoint-forgets") {
        // A session lock stays after a rollback to a savepoint.
        let kept = format!(
            "locktype = 'advisory' and classid = {} and mode = 'ShareLock' and pid = pg_backend_pid()",
            identity.class.0 + 3
        );
        format!(
            "(select 0 from pg_locks where {kept}), (select nullif(count(*), 1) from (select pg_advisory_lock_shared({}, 0) offset 0) as s)",
            identity.class.0 + 3
        )
    } else {
        format!("nullif(current_setting('{setting}', true), '')::bigint")
    };
    format!(
        "select current_setting('transaction_isolation'), coalesce({remembered}, (select n.floor from \
         (select l.floor, {announcement}, set_config('{setting}', l.floor::text, true) from (select {last_value} as floor offset 0) as l offset 0) as n)), \
         r.epoch = '{epoch}', r.format, r.min_reader, r.min_writer, {durable} \
         from (select 1) as one left join {REGISTRY}.namespaces as r on r.name = '{namespace}'",
        last_value = names.last_value(),
        epoch = identity.epoch,
        namespace = names.namespace,
    )
}

/// The columns of a page `p`. Events that do not fit come without their content, so that memory stays bounded.
const PAGE_COLUMNS: &str = "p.position, p.stream, p.version, p.id, p.type, p.schema, case when p.fits then p.tags end, case when p.fits then p.data end, \
                            case when p.fits then p.data_bytes end, case when p.fits then p.metadata end, p.recorded_at, p.fits";

/// Rows that fit by a running sum of their sizes; the first always fits.
pub(super) fn sized(order: &str, bytes: &str, rows: &str) -> String {
    format!(
        "select {PAGE_COLUMNS} from (select {COLUMNS}, r.total <= {bytes} or r.total = r.size as fits from \
         (select e.*, sum(e.size) over (order by {order} rows unbounded preceding) as total from ({rows}) as e) as r) as p"
    )
}

/// The plain rows if `f.small` says that all of them fit, else with a running sum, which costs as much as reading the
/// rows. The server runs only the branch whose condition holds, and keeps its order; the reader of the page checks
/// that.
pub(super) fn sized_if_large(order: &str, bytes: &str, rows: &str) -> String {
    let summed = sized(order, bytes, rows);
    format!(
        "select {COLUMNS}, true as fits from ({rows}) as e where (select f.small from f) union all {summed} where not (select f.small from f)"
    )
}

/// Whether all rows together fit a page.
pub(super) fn small(bytes: &str, sizes: &str) -> String {
    format!("(select coalesce(sum(s.size) <= {bytes}, true) from ({sizes}) as s) as small")
}

fn stream_page_statement(names: &Names, direction: &str) -> String {
    let rows = |columns: &str| {
        format!(
            "select {columns} from {} where stream = $1 and version between $2 and $3 order by version {direction} limit $4",
            names.events()
        )
    };
    let page = sized_if_large(&format!("version {direction}"), "$5", &rows(&format!("{COLUMNS}, size")));
    format!("with f as materialized (select {}) {page}", small("$5", &rows("size")))
}

/// The sequence's last value, then the announced floors: two statements in one round trip, in this order. Neither reads
/// a snapshot.
pub(super) fn horizon(names: &Names, class: LockClass, database: u32) -> SqlStr {
    safe(format!(
        "select {}; select objid::bigint from pg_locks as l where {}",
        names.last_value(),
        announcements(class, database),
    ))
}

/// The condition that a lock `l` is an announcement of the namespace's writers.
pub(super) fn announcements(class: LockClass, database: u32) -> String {
    format!(
        "l.locktype = 'advisory' and l.database = {database} and l.classid = {} and l.objsubid = 2 \
         and l.mode = 'ShareLock' and l.granted",
        class.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::options::Pooler;

    #[test]
    fn behind_a_transaction_pooler_an_attempt_is_a_transaction_and_no_process_is_ended() -> Result<()> {
        let names = Names::new("default")?;
        let identity = Identity { namespace: "default".to_owned(), class: LockClass(4), epoch: Uuid::nil() };
        let of = |options: &OpenOptions| {
            let statements = Statements::new(&names, &identity, options);
            [statements.ended, statements.end].map(|text| text.as_str().to_owned())
        };
        let [ended, end] = of(&OpenOptions::new("postgres:"));
        assert!(ended.contains("backend_start") && end.contains("where true and"));
        let [ended, end] = of(&OpenOptions::new("postgres:").pooler(Pooler::Transaction));
        assert!(ended.contains("xact_start") && end.contains("where false and"));
        Ok(())
    }
}
