//! Checks and creates a namespace's collections. Many processes can open at the same time, because every step can be
//! repeated, and the namespace is registered last.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::error::Result as Driver;
use mongodb::options::IndexOptions;
use mongodb::{ClientSession, IndexModel};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::abandoned::FORGOTTEN_AFTER;
use super::document::{id, number, uuid};
use super::error::{Class, Failure};
use super::format::{check_reader, check_writer, of_log, of_new};
use super::names::{LOG, Names, POSITION_INDEX, REGISTRY, Raw, SEEN_INDEX, SNAPSHOT_INDEX, TAG_INDEX, VERSION_INDEX};
use super::server_check::ServerCheck;
use super::work::{Work, left, pauses};
use crate::error::{Error, Result};
use crate::faults::planted;
use crate::options::{Durability, OpenOptions};

/// The wire version of MongoDB 4.4, the oldest that can be used.
const MIN_WIRE: i64 = 9;
/// The code of the error that a collection exists already.
const NAMESPACE_EXISTS: i32 = 48;

/// How long opening tries to reach a server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens a namespace, or creates it. Answers its epoch.
pub(super) async fn open(
    work: &Work,
    names: &Names,
    options: &OpenOptions,
    server: &Arc<ServerCheck>,
    deadline: Instant,
) -> Result<Uuid> {
    let began = Instant::now();
    let mut pauses = pauses();
    loop {
        let attempt_began = Instant::now();
        match open_once(work, names, options, server, deadline).await {
            // Another attempt must be able to end before the caller stops waiting. Otherwise the error would have no
            // cause.
            Err(failure)
                if failure.class() == Class::Unreached
                    && began.elapsed() < PATIENCE
                    && Instant::now() + attempt_began.elapsed() < deadline =>
            {
                sleep(pauses.next().unwrap_or_default()).await;
            }
            answer => return answer.map_err(Error::from),
        }
    }
}

async fn open_once(
    work: &Work,
    names: &Names,
    options: &OpenOptions,
    server: &Arc<ServerCheck>,
    deadline: Instant,
) -> std::result::Result<Uuid, Failure> {
    let server = Arc::clone(server);
    let (names, create, namespace) = (names.clone(), options.create, options.namespace.clone());
    let durable = options.durability == Durability::Full;
    let opened = work.run(deadline, |mut session| async move {
        check_server(&names, &mut session).await?;
        if durable {
            check_storage(&names, &mut session).await?;
        }
        let epoch = match look(&names, &mut session, deadline).await? {
            Some(epoch) => check(&names, epoch, &mut session, create).await,
            None if create => {
                make(&names, &mut session).await?;
                let found = look(&names, &mut session, deadline)
                    .await?
                    .ok_or_else(|| Failure::Bug("a namespace that was just created is not there".to_owned()))?;
                check(&names, found, &mut session, false).await
            }
            None => Err(Failure::Setup(format!("namespace '{namespace}' does not exist, and create is false"))),
        }?;
        if create {
            server.at_open(&names, &mut session, deadline).await?;
        }
        Ok(epoch)
    });
    opened.await
}

async fn check_server(names: &Names, session: &mut ClientSession) -> std::result::Result<(), Failure> {
    let hello = names.database.run_command(doc! { "hello": 1 }).session(session).await?;
    if !planted("mongodb-takes-any-server")
        && hello.get_str("setName").is_err()
        && hello.get_str("msg").ok() != Some("isdbgrid")
    {
        let message = "the server is standalone and has no transactions: start it with --replSet rs0, then run \
                       mongosh --eval 'rs.initiate()' once, which makes it a replica set of one";
        return Err(Failure::Setup(message.to_owned()));
    }
    let wire = hello.get("maxWireVersion").and_then(as_i64).unwrap_or_default();
    if wire < MIN_WIRE {
        return Err(Failure::Setup(format!(
            "MongoDB 4.4 is the oldest supported version; this server has wire version {wire}"
        )));
    }
    Ok(())
}

/// Refuses a storage engine that keeps everything in memory: it accepts journaled writes without having a journal. A
/// user who may not read the server's status is not checked.
async fn check_storage(names: &Names, session: &mut ClientSession) -> std::result::Result<(), Failure> {
    let ask = doc! { "serverStatus": 1, "metrics": 0, "repl": 0, "locks": 0, "wiredTiger": 0, "tcmalloc": 0 };
    let Ok(status) = names.database.client().database("admin").run_command(ask).session(session).await else {
        return Ok(());
    };
    let persistent = status.get_document("storageEngine").ok().and_then(|engine| engine.get_bool("persistent").ok());
    if persistent == Some(false) {
        return Err(Failure::Setup(
            "the server keeps everything in memory, so acknowledged events are lost when it stops; durability=relaxed \
             accepts it"
                .to_owned(),
        ));
    }
    Ok(())
}

fn as_i64(value: &mongodb::bson::Bson) -> Option<i64> {
    value.as_i64().or_else(|| value.as_i32().map(i64::from))
}

/// Looks for the namespace in the registry without changing anything. Answers its epoch.
async fn look(
    names: &Names,
    session: &mut ClientSession,
    deadline: Instant,
) -> std::result::Result<Option<Uuid>, Failure> {
    let row =
        names.registry.find_one(doc! { "_id": &names.namespace }).max_time(left(deadline)).session(session).await?;
    row.map(|row| id(&row, "epoch")).transpose()
}

/// Checks whether a registered namespace can be used.
async fn check(
    names: &Names,
    registered: Uuid,
    session: &mut ClientSession,
    mend: bool,
) -> std::result::Result<Uuid, Failure> {
    let log = names.heads.find_one(doc! { "_id": LOG }).session(&mut *session).await?;
    let format = of_log(&log.ok_or_else(|| missing(names, names.heads.name()))?)?;
    check_reader(format)?;
    // A library that is too old to write does not change indexes either.
    check_indexes(names, session, mend && check_writer(format).is_ok()).await?;
    // The last event is read first, because the log's head only grows.
    let last = names
        .events
        .find_one(doc! {})
        .sort(doc! { "position": -1 })
        .projection(doc! { "position": 1 })
        .session(&mut *session)
        .await?;
    let last = last.map(|event| number(&event, "position")).transpose()?.unwrap_or(0);
    let log = names.heads.find_one(doc! { "_id": LOG }).session(session).await?;
    let (head, epoch) = match &log {
        Some(log) => (number(log, "position")?, id(log, "epoch")?),
        None => return Err(missing(names, names.heads.name())),
    };
    if epoch != registered {
        return Err(Failure::Setup(format!(
            "{} belongs to another log than {REGISTRY} says; they may come from different backups",
            names.heads.name()
        )));
    }
    if head < last {
        return Err(Failure::Setup(format!(
            "the log's head is at {head}, below its last event at {last}; repair it with: db.getCollection('{}').updateOne({{_id: '{LOG}'}}, {{$set: {{position: NumberLong({last})}}}})",
            names.heads.name()
        )));
    }
    Ok(registered)
}

fn missing(names: &Names, what: &str) -> Failure {
    Failure::Setup(format!(
        "namespace '{}' is registered but {what} is missing: restore it, or delete the document from {REGISTRY}",
        names.namespace
    ))
}

/// Checks the indexes, which protect the order of the log. Creates missing ones if `mend` is true.
async fn check_indexes(names: &Names, session: &mut ClientSession, mend: bool) -> std::result::Result<(), Failure> {
    let mut found: HashMap<String, bool> = HashMap::new();
    let mut indexes = match names.events.list_indexes().session(&mut *session).await {
        Ok(indexes) => indexes,
        // The collection does not exist.
        Err(error) => match Failure::from(error) {
            Failure::Refused { code: 26, .. } => return Err(missing(names, names.events.name())),
            other => return Err(other),
        },
    };
    while let Some(index) = indexes.next(session).await {
        let options = index?.options.unwrap_or_default();
        found.insert(options.name.unwrap_or_default(), options.unique == Some(true));
    }
    if found.is_empty() {
        return Err(missing(names, names.events.name()));
    }
    let lacking = |name: &str, unique: bool| found.get(name).is_none_or(|is_unique| *is_unique != unique);
    if ![(POSITION_INDEX, true), (VERSION_INDEX, true), (TAG_INDEX, false)]
        .iter()
        .any(|(name, unique)| lacking(name, *unique))
    {
        return Ok(());
    }
    if mend {
        return Ok(make_indexes(names, session).await?);
    }
    Err(Failure::Setup(format!("indexes are missing in {}: open the store once with create=true", names.events.name())))
}

/// Creates everything that a namespace has. Each step can be repeated, by this process or another one.
async fn make(names: &Names, session: &mut ClientSession) -> std::result::Result<(), Failure> {
    make_indexes(names, session).await?;
    for collection in [&names.heads, &names.registry] {
        make_collection(names, collection, session).await?;
    }
    // The first process sets the epoch, and every process registers that one.
    let mut first = doc! { "position": 0_i64, "epoch": uuid(Uuid::new_v4()) };
    first.extend(of_new());
    let log = upsert(&names.heads, doc! { "_id": LOG }, doc! { "$setOnInsert": first }, session).await?;
    let row =
        doc! { "$setOnInsert": { "epoch": uuid(id(&log, "epoch")?), "created_at": mongodb::bson::DateTime::now() } };
    upsert(&names.registry, doc! { "_id": &names.namespace }, row, session).await?;
    Ok(())
}

/// Creates a collection. Older servers cannot create one within a transaction.
async fn make_collection(
    names: &Names,
    collection: &Raw,
    session: &mut ClientSession,
) -> std::result::Result<(), Failure> {
    match names.database.create_collection(collection.name()).session(session).await.map_err(Failure::from) {
        Ok(()) | Err(Failure::Refused { code: NAMESPACE_EXISTS, .. }) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Inserts a document if it is missing, and answers the one that is there.
async fn upsert(
    collection: &Raw,
    filter: Document,
    update: Document,
    session: &mut ClientSession,
) -> std::result::Result<RawDocumentBuf, Failure> {
    loop {
        match collection
            .update_one(filter.clone(), update.clone())
            .upsert(true)
            .session(&mut *session)
            .await
            .map_err(Failure::from)
        {
            // A duplicate means that another process inserted it first.
            Err(failure) if !failure.is_duplicate() => return Err(failure),
            _ => {}
        }
        if let Some(found) = collection.find_one(filter.clone()).session(&mut *session).await? {
            return Ok(found);
        }
    }
}

async fn make_indexes(names: &Names, session: &mut ClientSession) -> Driver<()> {
    let events = [
        index(doc! { "position": 1 }, POSITION_INDEX, true),
        index(doc! { "stream": 1, "version": 1 }, VERSION_INDEX, true),
        // Costs only what is tagged.
        tagged(index(doc! { "tags": 1, "position": 1 }, TAG_INDEX, false)),
    ];
    names.events.create_indexes(events).session(&mut *session).await?;
    make_snapshot_index(&names.snapshots, session).await?;
    let mut seen = index(doc! { "seen": 1 }, SEEN_INDEX, false);
    if let Some(options) = &mut seen.options {
        options.expire_after = Some(FORGOTTEN_AFTER);
    }
    names.writers.create_indexes([seen]).session(session).await?;
    Ok(())
}

/// Makes the index of snapshots. The check of the server uses one like it.
pub(super) async fn make_snapshot_index(collection: &Raw, session: &mut ClientSession) -> Driver<()> {
    let snapshots = [index(doc! { "stream": 1, "schema": 1, "version": 1 }, SNAPSHOT_INDEX, true)];
    collection.create_indexes(snapshots).session(session).await.map(drop)
}

fn tagged(mut index: IndexModel) -> IndexModel {
    if let Some(options) = &mut index.options {
        options.partial_filter_expression = Some(doc! { "tags": { "$exists": true } });
    }
    index
}

fn index(keys: Document, name: &str, unique: bool) -> IndexModel {
    IndexModel::builder()
        .keys(keys)
        .options(IndexOptions::builder().name(name.to_owned()).unique(unique).build())
        .build()
}
