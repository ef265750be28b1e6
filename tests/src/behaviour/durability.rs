//! Rule 3: an acknowledged event is durable.

use std::time::Duration;

use streamkeep::{Durability, EventStore, OpenOptions};

use super::{Sql, all_at_once, append, event, events, log, refused, stream};
use crate::harness::{Backend, Room};
use crate::servers::{MongoServer, PostgresServer, Server};
use crate::suite::Case;

const VOLATILE: &[(Backend, &str)] = &[(Backend::Memory, "its events are deleted with its last handle")];
const NO_SERVER: &[(Backend, &str)] = &[(Backend::Memory, "it has no server"), (Backend::Sqlite, "it has no server")];

const NOT_POSTGRES: &[(Backend, &str)] = &[
    (Backend::Memory, "it has no settings of roles and databases"),
    (Backend::Sqlite, "it has no settings of roles and databases"),
    (Backend::Mongodb, "each write carries its write concern"),
];

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        acknowledged_events_are_there_after_opening_again: lacking VOLATILE,
        acknowledged_events_survive_a_crash_of_the_server: lacking NO_SERVER,
        a_server_that_does_not_sync_is_refused_unless_durability_is_relaxed: lacking NO_SERVER,
        a_weaker_default_after_open_loses_no_event: lacking NOT_POSTGRES,
        a_role_with_asynchronous_commits_gets_synchronous_ones: lacking NOT_POSTGRES,
    ]
}

async fn acknowledged_events_are_there_after_opening_again(room: Room) {
    let store = room.store().await;
    let done = append(&store, "s", events(3)).await;
    let before = log(&store).await;
    store.close().await.expect("the store closes");
    let store = room.store().await;
    assert_eq!(log(&store).await, before);
    let next = append(&store, "s", [event(4)]).await;
    assert!(next.version == 4 && next.position > done.position);
}

async fn server(backend: Backend) -> Server {
    tokio::task::spawn_blocking(move || Server::start(backend))
        .await
        .expect("the task ends")
        .expect("the server starts")
}

async fn server_that_does_not_sync(backend: Backend) -> Server {
    let start = move || match backend {
        Backend::Mongodb => MongoServer::start_in_memory().map(Server::Mongodb),
        _ => PostgresServer::start_with(&[("fsync", "off")]).map(Server::Postgres),
    };
    tokio::task::spawn_blocking(start).await.expect("the task ends").expect("the server starts")
}

async fn acknowledged_events_survive_a_crash_of_the_server(room: Room) {
    let mut server = server(room.backend()).await;
    let options = OpenOptions::new(server.url()).namespace(room.namespace()).timeout(Duration::from_secs(20));
    let store: EventStore = options.clone().open().await.expect("the store opens");
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut acknowledged = 0;
                // Writes until the crash. An append with an unknown outcome does not count as acknowledged.
                while acknowledged < 200
                    && store
                        .append(
                            format!("s-{writer}"),
                            [event(acknowledged)],
                            streamkeep::AppendOptions { timeout: Some(Duration::from_secs(2)), ..Default::default() },
                        )
                        .await
                        .is_ok()
                {
                    acknowledged += 1;
                }
                acknowledged
            })
        })
        .collect();
    while store.head().await.expect("the head is read") < 60 {
        tokio::task::yield_now().await;
    }
    server.stop_hard().expect("the server crashes");
    let acknowledged =
        all_at_once(writers.into_iter().map(|writer| async move { writer.await.expect("the writer ends") })).await;
    server.start_again().expect("the server recovers");
    for (writer, acknowledged) in acknowledged.into_iter().enumerate() {
        let there = stream(&store, &format!("s-{writer}")).await.len();
        assert!(there >= acknowledged && there <= acknowledged + 1, "{there} of {acknowledged}");
    }
    append(&store, "s-0", [event(0)]).await;
}

async fn a_server_that_does_not_sync_is_refused_unless_durability_is_relaxed(room: Room) {
    let server = server_that_does_not_sync(room.backend()).await;
    let options = OpenOptions::new(server.url()).namespace(room.namespace());
    assert_eq!(refused(options.clone().open().await).code(), "config");
    let store = options.durability(Durability::Relaxed).open().await.expect("the store opens");
    append(&store, "s", events(2)).await;
    assert_eq!(log(&store).await.len(), 2);
}

/// A server that writes to the disk so rarely that a crash loses whatever was not synced.
async fn server_that_writes_late() -> PostgresServer {
    let start = || PostgresServer::start_with(&[("wal_writer_delay", "10s")]);
    tokio::task::spawn_blocking(start).await.expect("the task ends").expect("the server starts")
}

/// Appends one event after the other, crashes the server, and returns how many events are left.
async fn events_after_a_crash(server: &mut PostgresServer, store: &EventStore, appends: u64) -> u64 {
    for number in 0..appends {
        append(store, "s", [event(number)]).await;
    }
    server.stop_hard().expect("the server crashes");
    server.start_again().expect("the server recovers");
    stream(store, "s").await.len() as u64
}

async fn a_weaker_default_after_open_loses_no_event(room: Room) {
    let mut server = server_that_writes_late().await;
    let store = OpenOptions::new(server.url()).namespace(room.namespace()).open().await.expect("the store opens");
    append(&store, "before", [event(1)]).await;
    let mut sql = Sql::connect(&server.url()).await;
    sql.run("alter system set synchronous_commit = off").await;
    sql.run("select pg_reload_conf()").await;
    while sql.value("show synchronous_commit").await != "off" {
        tokio::task::yield_now().await;
    }
    assert_eq!(events_after_a_crash(&mut server, &store, 50).await, 50);
}

async fn a_role_with_asynchronous_commits_gets_synchronous_ones(room: Room) {
    let mut server = server_that_writes_late().await;
    let mut sql = Sql::connect(&server.url()).await;
    sql.run("create role app superuser login").await;
    sql.run("alter role app set synchronous_commit = off").await;
    let url = server.url().replace("streamkeep@", "app@");
    let store = OpenOptions::new(url).namespace(room.namespace()).open().await.expect("the store opens with this role");
    assert_eq!(events_after_a_crash(&mut server, &store, 50).await, 50);
}
