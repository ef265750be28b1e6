//! Checks the namespace's tables when a store opens it, and creates what is missing.

use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio::time::Instant;
use uuid::Uuid;

use super::error::Failure;
use super::format::{self, FORMAT, MIN_READER, MIN_WRITER, check_reader};
use super::lease::Lease;
use super::names::{BEGIN, ID_KEY, Identity, LockClass, Names, POSITION_KEY, REGISTRY, VERSION_KEY, safe};
use super::pool::Pool;
use super::server_check::{SEQUENCE, ServerCheck};
use crate::error::{Error, Result};
use crate::faults::planted;
use crate::format::Format;
use crate::position::MAX_POSITION;

/// The key of the advisory lock under which stores create tables one after the other: the letters `streamkp`.
const MIGRATION_LOCK: i64 = 0x7374_7265_616d_6b70;

/// Checks the server and the namespace, and creates what is missing if `create_missing` is set.
pub(super) async fn open(
    pool: &Pool,
    names: &Names,
    create_missing: bool,
    server: &ServerCheck,
    deadline: Instant,
) -> Result<Identity> {
    let mut lease = pool.lease(deadline).await?;
    let found = match find(&mut lease, names, deadline).await? {
        Some(found) => found,
        None if create_missing => create(&mut lease, names, deadline).await?,
        None => {
            return Err(Error::config(format!("namespace '{}' does not exist, and create is false", names.namespace)));
        }
    };
    check_reader(found.format)?;
    if create_missing {
        server.at_open(&mut lease, deadline).await?;
    }
    check_sequence(&mut lease, names, deadline).await?;
    Ok(found.identity)
}

/// A registered namespace.
struct Found {
    identity: Identity,
    format: Format,
}

/// Finds the namespace without changing anything.
async fn find(lease: &mut Lease, names: &Names, deadline: Instant) -> Result<Option<Found>> {
    // The catalog is queried, because a cast to `regclass` may answer from a cache from before the wait for the lock.
    const HAS_TABLE: &str = "select count(*) > 0 from pg_namespace as n join pg_class as c on c.relnamespace = n.oid where n.nspname = $1 and c.relname = $2";
    let rows = lease.fetch(sqlx::query(HAS_TABLE).bind(REGISTRY).bind("namespaces"), deadline).await?;
    if !only(&rows)?.try_get::<bool, _>(0).map_err(Failure::from)? {
        return Ok(None);
    }
    // One statement has one snapshot: it sees both the row and the table of another store's creation, or neither.
    let ask = safe(format!(
        "select class, epoch, format, min_reader, min_writer, ({HAS_TABLE}) from {REGISTRY}.namespaces where name = $3"
    ));
    let rows =
        lease.fetch(sqlx::query(ask).bind(&names.schema).bind("events").bind(&names.namespace), deadline).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let events: bool = row.try_get(5).map_err(Failure::from)?;
    if !events {
        let message = format!(
            "namespace '{}' is registered but {} is missing: restore it, or delete the row from {REGISTRY}.namespaces",
            names.namespace,
            names.events()
        );
        return Err(Error::config(message));
    }
    Ok(Some(found(row, names)?))
}

fn found(row: &PgRow, names: &Names) -> std::result::Result<Found, Failure> {
    let identity =
        Identity { namespace: names.namespace.clone(), class: LockClass(row.try_get(0)?), epoch: row.try_get(1)? };
    let format = format::read(row, 2)?;
    Ok(Found { identity, format })
}

/// Creates what is missing, in one transaction under [`MIGRATION_LOCK`].
async fn create(lease: &mut Lease, names: &Names, deadline: Instant) -> Result<Found> {
    let begin = safe(format!("{BEGIN}select pg_advisory_xact_lock({MIGRATION_LOCK})"));
    lease.begin(&begin, deadline).await?;
    match create_within(lease, names, deadline).await {
        Ok(found) => {
            lease.commit(deadline).await?;
            Ok(found)
        }
        Err(error) => {
            lease.roll_back(deadline).await;
            Err(error)
        }
    }
}

async fn create_within(lease: &mut Lease, names: &Names, deadline: Instant) -> Result<Found> {
    // Another store may have created it while this one waited for the lock.
    if let Some(found) = find(lease, names, deadline).await? {
        return Ok(found);
    }
    // `create ... if not exists` needs the privilege to create even if nothing is missing.
    let existing = safe(format!(
        "select exists (select 1 from pg_namespace where nspname = '{REGISTRY}'); \
         select exists (select 1 from pg_class as c join pg_namespace as n on n.oid = c.relnamespace \
         where n.nspname = '{REGISTRY}' and c.relname = 'namespaces'); \
         select exists (select 1 from pg_namespace where nspname = '{}')",
        names.schema
    ));
    let existing = lease.run(existing, deadline).await?;
    let lz4 =
        "select exists (select 1 from pg_settings where name = 'default_toast_compression' and 'lz4' = any(enumvals))";
    let rows = lease.fetch(sqlx::query(lz4), deadline).await?;
    let compression = if only(&rows)?.try_get(0).map_err(Failure::from)? { "compression lz4" } else { "" };
    let has = |row: usize| Ok::<bool, Failure>(existing.get(row).map_or(Ok(false), |row| row.try_get(0))?);
    if !has(0)? {
        lease.run(safe(format!("create schema {REGISTRY}")), deadline).await?;
    }
    if !has(1)? {
        lease.run(safe(registry()), deadline).await?;
    }
    if !has(2)? {
        lease.run(safe(format!("create schema {}", names.schema)), deadline).await?;
    }
    lease.run(safe(tables(names, compression)), deadline).await?;
    let register = safe(format!(
        "insert into {REGISTRY}.namespaces (name, class, epoch, format, min_reader, min_writer) values ($1, $2, $3, {FORMAT}, {MIN_READER}, {MIN_WRITER})"
    ));
    lease
        .fetch(sqlx::query(register).bind(&names.namespace).bind(random_class()).bind(Uuid::new_v4()), deadline)
        .await?;
    find(lease, names, deadline).await?.ok_or_else(|| Error::internal("a namespace just created was not found"))
}

/// A random multiple of 4 with 31 bits. The registry's constraint keeps two namespaces of a database from sharing it,
/// and a collision with another application's locks is unlikely.
fn random_class() -> i32 {
    let bytes = Uuid::new_v4().into_bytes();
    i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) & 0x7fff_fffc
}

/// The registry of namespaces, which each database has once.
fn registry() -> String {
    format!(
        r#"create table {REGISTRY}.namespaces (
    name text collate "C" not null constraint namespaces_name primary key,
    class int not null constraint namespaces_class unique,
    epoch uuid not null,
    format int not null,
    min_reader int not null,
    min_writer int not null,
    created_at timestamptz not null default now()
);
create sequence {REGISTRY}.{SEQUENCE} as bigint cache 1 cycle;
"#
    )
}

/// The tables of a namespace. Texts compare byte for byte, because an index in a system collation breaks when the
/// system's library changes. A removed event keeps its stream, version, position and id. A transaction that sets
/// `streamkeep.erase` to `on` may change the other columns. Columns of fixed width come first, so that rows have no
/// padding.
fn tables(names: &Names, compression: &str) -> String {
    let (schema, events, tags, snapshots) = (&names.schema, names.events(), names.tags(), names.snapshots());
    let versions =
        if planted("postgres-no-unique") { "unique (stream, version, position)" } else { "unique (stream, version)" };
    format!(
        r#"create sequence {schema}.positions as bigint cache 1 maxvalue {MAX_POSITION};
create table {events} (
    position bigint not null constraint {POSITION_KEY} primary key,
    version bigint not null,
    recorded_at timestamptz not null,
    id uuid not null constraint {ID_KEY} unique,
    size int not null,
    stream text collate "C" not null,
    type text collate "C",
    schema text collate "C",
    tags text[] collate "C",
    metadata json {compression},
    data json {compression},
    data_bytes bytea {compression},
    constraint {VERSION_KEY} {versions}
);
create table {tags} (
    tag text collate "C" not null,
    position bigint not null,
    constraint tags_tag_position primary key (tag, position)
);
create table {snapshots} (
    stream text collate "C" not null,
    schema text collate "C" not null,
    version bigint not null,
    event_id uuid not null,
    checksum bigint not null,
    data json {compression},
    data_bytes bytea {compression},
    saved_at timestamptz not null default now(),
    constraint snapshots_stream_schema_version primary key (stream, schema, version)
);
create function {schema}.refuse_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and coalesce(pg_catalog.current_setting('streamkeep.erase', true), '') = 'on' then
        if tg_level = 'STATEMENT' then
            return null;
        end if;
        if (new.stream, new.version, new.position, new.id) = (old.stream, old.version, old.position, old.id) then
            return new;
        end if;
    end if;
    raise exception 'recorded events are never changed' using errcode = 'restrict_violation';
end $$;
create trigger events_stay before update or delete or truncate on {events} for each statement execute function {schema}.refuse_change();
create trigger events_keep_place before update on {events} for each row execute function {schema}.refuse_change();
"#
    )
}

/// Refuses a sequence behind the log, which some restores leave: it would draw the same positions again.
async fn check_sequence(lease: &mut Lease, names: &Names, deadline: Instant) -> Result<()> {
    let ask =
        safe(format!("select {}, coalesce((select max(position) from {}), 0)", names.last_value(), names.events()));
    let rows = lease.fetch(sqlx::query(ask), deadline).await?;
    let (drawn, head): (i64, i64) =
        (only(&rows)?.try_get(0).map_err(Failure::from)?, only(&rows)?.try_get(1).map_err(Failure::from)?);
    if drawn < head {
        return Err(Error::config(format!(
            "the sequence of positions is at {drawn}, below the log's head {head}; repair it with: select setval('{}.positions', {head})",
            names.schema
        )));
    }
    Ok(())
}

fn only(rows: &[PgRow]) -> std::result::Result<&PgRow, Failure> {
    rows.first().ok_or_else(|| Failure::Unreadable("an answer without rows".to_owned()))
}
