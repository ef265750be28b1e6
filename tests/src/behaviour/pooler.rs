//! Rule 27: a transaction pooler before Postgres must be named or the store does not open, and no setting of the store
//! reaches the pooler's other clients.

use std::time::Duration;

use futures::TryStreamExt;
use sqlx::{Connection, PgConnection};
use streamkeep::{EventStore, ExpectedVersion, Item, OpenOptions, Pooler, Snapshot, SubscribeOptions};

use super::{Sql, all_at_once, append, event, events, log, refused};
use crate::harness::{Backend, Room};
use crate::servers::{PgBouncer, PostgresServer, StartError};
use crate::suite::Case;

const NOT_POSTGRES: &[(Backend, &str)] = &[
    (Backend::Memory, "it has no server"),
    (Backend::Sqlite, "it has no server"),
    (Backend::Mongodb, "the case is for Postgres"),
];

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        a_transaction_pooler_that_is_not_named_is_refused: lacking NOT_POSTGRES,
        a_session_pooler_is_supported: lacking NOT_POSTGRES,
        behind_a_transaction_pooler_everything_works_and_nothing_leaks: lacking NOT_POSTGRES,
    ]
}

/// A server with a pooler before it; `None`, with the reason printed, if this machine has no pooler.
async fn pooled(mode: &'static str, lines: &'static str) -> Option<(PostgresServer, PgBouncer)> {
    let start = move || {
        let server = PostgresServer::start().expect("the server starts");
        let pooler = PgBouncer::before(&server.url(), mode, lines);
        (server, pooler)
    };
    let (server, pooler) = tokio::task::spawn_blocking(start).await.expect("the task ends");
    match pooler {
        Ok(pooler) => Some((server, pooler)),
        Err(StartError::NotHere(reason)) => {
            println!("SKIPPED: poolers: {reason}");
            None
        }
        Err(StartError::Failed(reason)) => panic!("{reason}"),
    }
}

/// The settings that each of four clients with simultaneous transactions finds.
async fn seen_by_others(url: &str) -> Vec<String> {
    let mut others = Vec::new();
    for _ in 0..4 {
        let mut other = Sql::connect(url).await;
        other.run("begin").await;
        others.push(other);
    }
    let mut seen = Vec::new();
    for other in &mut others {
        let ask = "select current_setting('search_path') || ', ' || current_setting('enable_seqscan') || ', ' || \
                   current_setting('idle_in_transaction_session_timeout')";
        seen.push(other.value(ask).await);
        other.run("rollback").await;
    }
    seen
}

const DEFAULTS: &str = "\"$user\", public, on, 0";

async fn a_transaction_pooler_that_is_not_named_is_refused(room: Room) {
    for lines in ["default_pool_size = 4", "default_pool_size = 4\nserver_round_robin = 1"] {
        let Some((_server, pooler)) = pooled("transaction", lines).await else { return };
        // First a new pooler, then one with sessions that other clients have used.
        for turn in 0..2 {
            let error = refused(OpenOptions::new(pooler.url()).namespace(room.namespace()).open().await);
            assert!(error.code() == "config" && error.to_string().contains("pooler=transaction"), "{turn}: {error}");
            assert_eq!(seen_by_others(&pooler.url()).await, [DEFAULTS; 4]);
        }
    }
}

async fn a_session_pooler_is_supported(room: Room) {
    let Some((_server, pooler)) = pooled("session", "").await else { return };
    for number in 0..3 {
        let store = OpenOptions::new(pooler.url()).namespace(room.namespace()).open().await.expect("the store opens");
        append(&store, "s", [event(number)]).await;
        assert_eq!(log(&store).await.len(), number + 1);
        store.close().await.expect("the store closes");
    }
}

async fn behind_a_transaction_pooler_everything_works_and_nothing_leaks(room: Room) {
    let Some((_server, pooler)) = pooled("transaction", "default_pool_size = 4").await else { return };
    let store = OpenOptions::new(pooler.url())
        .pooler(Pooler::Transaction)
        .namespace(room.namespace())
        .poll_interval(Duration::from_millis(50));
    let store = store.open().await.expect("the store opens");
    let callers = (0..16).map(|caller| {
        let store = store.clone();
        async move {
            for number in 0..20 {
                append(&store, &format!("s-{}", (caller + number) % 7), events(2)).await;
                let _ = super::stream(&store, "s-1").await;
            }
        }
    });
    all_at_once(callers).await;
    assert_eq!(log(&store).await.len(), 16 * 20 * 2);
    let known = events(2);
    let first = append(&store, "known", known.clone()).await;
    let again = append(&store, "known", known).await;
    assert!(again.repeated && again.position == first.position);
    let conflict = refused(store.append("known", [event(1)], ExpectedVersion::NoStream).await);
    assert_eq!(conflict.code(), "conflict");
    let snapshot = Snapshot {
        stream: "known".to_owned(),
        version: 2,
        schema: "v1".to_owned(),
        data: streamkeep::Payload::Json("{}".to_owned()),
    };
    store.save_snapshot(snapshot).await.expect("the snapshot is saved");
    assert!(store.load_snapshot("known", "v1", None).await.expect("the snapshot is loaded").is_some());
    let mut subscription = store.subscribe(SubscribeOptions::default());
    let mut given = 0;
    while let Some(item) = subscription.try_next().await.expect("the next item is read") {
        match item {
            Item::Event(_) => given += 1,
            Item::CaughtUp => break,
        }
    }
    assert_eq!(given, 16 * 20 * 2 + 2);
    append_in_own_transaction(&store, &pooler.url()).await;
    assert_eq!(seen_by_others(&pooler.url()).await, [DEFAULTS; 4]);
    for _ in 0..4 {
        Sql::connect(&pooler.url()).await.run("create temporary table mine (id int); drop table mine").await;
    }
}

async fn append_in_own_transaction(store: &EventStore, url: &str) {
    // Both other clients and the store have used the server's sessions.
    for number in 1..=6 {
        let mut connection = PgConnection::connect(url).await.expect("the client connects");
        let mut transaction = connection.begin().await.expect("the transaction begins");
        let versions = store
            .append_in(&mut transaction, "own", [event(number)], ExpectedVersion::Exact(number - 1))
            .await
            .expect("the append succeeds");
        assert_eq!(versions, [number]);
        transaction.commit().await.expect("the transaction commits");
    }
}
