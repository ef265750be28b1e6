//! A repeat waits for the standby and wakes readers as the first append does.

use std::time::Duration;

use futures::TryStreamExt;
use streamkeep::{
    AppendOptions, Event, EventStore, ExpectedVersion, ImportEvent, Item, OpenOptions, Outcome, Start,
    SubscribeOptions, Subscription,
};

use super::{Sql, append, event};
use crate::harness::{Backend, Room};
use crate::servers::PostgresServer;
use crate::suite::Case;

const NOT_POSTGRES: &[(Backend, &str)] = &[
    (Backend::Memory, "it has no standby"),
    (Backend::Sqlite, "it has no standby"),
    (Backend::Mongodb, "each read and write carries its concern"),
];

/// Long enough for a write on a busy machine, and still a short wait.
const SHORT: Duration = Duration::from_secs(1);
/// Much longer than a hint takes.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        a_repeat_waits_for_the_standby_as_an_append_does: lacking NOT_POSTGRES,
        a_repeat_wakes_readers_as_a_new_append_does: lacking NOT_POSTGRES,
    ]
}

async fn append_soon(store: &EventStore, event: &Event) -> streamkeep::Result<streamkeep::AppendResult> {
    let options = AppendOptions { expected: ExpectedVersion::Any, timeout: Some(SHORT) };
    store.append("s", [event.clone()], options).await
}

fn import_of(event: &Event) -> ImportEvent {
    ImportEvent { stream: "imported".to_owned(), version: None, recorded_at: None, event: event.clone() }
}

async fn a_repeat_waits_for_the_standby_as_an_append_does(room: Room) {
    let start = || PostgresServer::start_with(&[]);
    let server = tokio::task::spawn_blocking(start).await.expect("the task ends").expect("the server starts");
    let options = OpenOptions::new(server.url()).namespace(room.namespace());
    let store = options.clone().open().await.expect("the store opens");
    // An import takes its deadline from its store.
    let importer = options.timeout(3 * SHORT).open().await.expect("the other store opens");
    let (appended, imported) = (event(1), event(2));
    append(&store, "s", [appended.clone()]).await;
    importer.import_events([import_of(&imported)]).await.expect("the import commits");
    let mut sql = Sql::connect(&server.url()).await;
    sql.run("alter system set synchronous_standby_names = 'absent'").await;
    sql.run("select pg_reload_conf()").await;
    let mut number = 10;
    while append_soon(&store, &event(number)).await.is_ok() {
        number += 1;
    }
    for result in
        [append_soon(&store, &appended).await.map(drop), importer.import_events([import_of(&imported)]).await.map(drop)]
    {
        let error = result.expect_err("the standby that must confirm is absent");
        assert_eq!((error.code(), error.outcome()), ("unavailable", Outcome::Unknown), "{error}");
    }
    sql.run("alter system reset synchronous_standby_names").await;
    sql.run("select pg_reload_conf()").await;
    let again = store.append("s", [appended], ExpectedVersion::Any).await.expect("the retry needs no standby");
    assert!(again.repeated && again.version == 1);
    let again = importer.import_events([import_of(&imported)]).await.expect("the retry needs no standby");
    assert_eq!(again.passed_over, 1);
}

/// The position of the next event of a subscription.
async fn next_position(subscription: &mut Subscription) -> u64 {
    let next = async {
        loop {
            match subscription.try_next().await.expect("the subscription gives an item") {
                Some(Item::Event(event)) => return event.position,
                Some(_) => {}
                None => panic!("the subscription ended"),
            }
        }
    };
    tokio::time::timeout(LIMIT, next).await.expect("the reader wakes in time")
}

async fn a_repeat_wakes_readers_as_a_new_append_does(room: Room) {
    if room.is_pooled() {
        // Behind a transaction pooler the store cannot listen.
        return;
    }
    let options = room.options().poll_interval(Duration::from_secs(600));
    let (writer, other) = (
        options.clone().open().await.expect("the first store opens"),
        options.open().await.expect("the second store opens"),
    );
    let follow = |store: &EventStore| {
        store.subscribe(SubscribeOptions { start: Some(Start::Beginning), ..SubscribeOptions::default() })
    };
    let mut readers = [follow(&writer), follow(&other)];
    let first = append(&writer, "s", [event(1)]).await;
    for reader in &mut readers {
        assert_eq!(next_position(reader).await, first.position);
    }
    let schema = format!("streamkeep_{}", room.namespace());
    let mut sql = Sql::connect(&room.server()).await;
    for (version, through_import) in [(2, false), (3, true)] {
        // The client that wrote this event died before it sent a hint.
        let lost = event(version);
        sql.run(&format!(
            "insert into {schema}.events (position, stream, version, id, type, data, recorded_at, size) \
             values (nextval('{schema}.positions'), 's', {version}, '{}', 'E', '{version}', now(), 1)",
            lost.id
        ))
        .await;
        let position = if through_import {
            let import = ImportEvent { stream: "s".to_owned(), ..import_of(&lost) };
            writer.import_events([import]).await.expect("the import commits").position
        } else {
            let again = append(&writer, "s", [lost]).await;
            assert!(again.repeated);
            again.position
        };
        for reader in &mut readers {
            assert_eq!(next_position(reader).await, position);
        }
    }
}
