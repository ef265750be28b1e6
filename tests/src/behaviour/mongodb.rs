//! Cases for MongoDB alone: the format in the log's head, documents of removed events, and the client that the
//! namespaces of a database share.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection};
use streamkeep::{
    Direction, EventStore, ExpectedVersion, ImportEvent, OpenOptions, Outcome, Payload, ReadAllOptions, ReadOptions,
    ReadPageOptions, Snapshot, Start, SubscribeOptions, Subscription,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{append, event, events, log, refused, snapshot_at, stream, versions};
use crate::harness::{Backend, Room};
use crate::suite::Case;

const ONLY_MONGODB: &[(Backend, &str)] = &[
    (Backend::Memory, "it keeps nothing that an older library can open"),
    (Backend::Sqlite, "it has its own cases for this"),
    (Backend::Postgres, "it has its own cases for this"),
];

const NO_SERVER: &[(Backend, &str)] = &[
    (Backend::Memory, "it has no server"),
    (Backend::Sqlite, "its own cases cover this"),
    (Backend::Postgres, "its own cases cover this"),
];

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        a_migration_of_a_mongodb_ends_the_calls_of_an_open_store: lacking ONLY_MONGODB,
        a_removed_event_matches_nothing_and_keeps_its_id: lacking ONLY_MONGODB,
        namespaces_of_a_mongodb_share_its_client: lacking NO_SERVER,
    ]
}

async fn collection(room: &Room, name: &str) -> Collection<Document> {
    let client = Client::with_uri_str(room.base()).await.expect("the client connects");
    client.default_database().expect("the URL names a database").collection(&room.table(name))
}

/// The first step of a later library that migrates a namespace.
async fn migrate(room: &Room, limits: Document) {
    let changed = collection(room, "heads").await.update_one(doc! { "_id": "" }, doc! { "$set": limits }).await;
    assert_eq!(changed.expect("the head is updated").modified_count, 1);
}

fn snapshot() -> Snapshot {
    Snapshot { stream: "s".to_owned(), version: 1, schema: "v1".to_owned(), data: Payload::Json("1".to_owned()) }
}

async fn assert_refuses_to_write(store: &EventStore) {
    let import = ImportEvent { stream: "t".to_owned(), version: None, recorded_at: None, event: event(1) };
    for error in [
        refused(store.append("s", [event(3)], ExpectedVersion::Any).await),
        refused(store.import_events([import]).await),
        refused(store.save_snapshot(snapshot()).await),
    ] {
        assert_eq!((error.code(), error.outcome()), ("config", Outcome::NotApplied), "{error}");
        assert!(error.to_string().contains("9001") && error.to_string().contains("format 1"), "{error}");
    }
}

async fn a_migration_of_a_mongodb_ends_the_calls_of_an_open_store(room: Room) {
    // Connections expire before their next use, so that each read of a stream is the first on its connection.
    let store = room.options_with("?maxIdleTimeMS=1").open().await.expect("the store opens");
    append(&store, "s", events(2)).await;
    migrate(&room, doc! { "format": 9001, "min_writer": 9001 }).await;
    assert_refuses_to_write(&store).await;
    assert_eq!((log(&store).await.len(), stream(&store, "s").await.len()), (2, 2));
    migrate(&room, doc! { "format": 9002, "min_reader": 9002 }).await;
    for error in [refused(store.read_page(ReadPageOptions::default()).await), refused(store.head().await)] {
        assert!(error.code() == "config" && error.to_string().contains("9002"), "{error}");
    }
    let began = Instant::now();
    let error = loop {
        match store.read("s", 1..).try_collect::<Vec<_>>().await {
            Ok(_) => assert!(began.elapsed() < Duration::from_secs(15), "an old library stops reading"),
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(error.code() == "config" && error.to_string().contains("9002"), "{error}");
}

async fn a_removed_event_matches_nothing_and_keeps_its_id(room: Room) {
    let store = room.store().await;
    let placed = events(6);
    let first = append(&store, "s", placed.clone()).await;
    append(&store, "t", [event(7)]).await;
    let content = doc! { "type": "", "schema": "", "tags": "", "metadata": "", "metadata_json": "", "data": "", "data_json": "", "recorded_at": "" };
    let removed = doc! { "stream": "s", "version": { "$in": [1, 2, 6] } };
    let done = collection(&room, "events").await.update_many(removed, doc! { "$unset": content }).await;
    assert_eq!(done.expect("the removal succeeds").modified_count, 3);

    assert_eq!(versions(&stream(&store, "s").await), [3, 4, 5]);
    let backward = ReadOptions { direction: Direction::Backward, ..ReadOptions::default() };
    let read: Vec<_> = store.read("s", backward).try_collect().await.expect("the stream is read");
    assert_eq!(versions(&read), [5, 4, 3]);
    assert!(store.read("s", 1..=2).try_collect::<Vec<_>>().await.expect("the stream is read").is_empty());
    assert_eq!(versions(&log(&store).await), [3, 4, 5, 1]);
    let backward = ReadAllOptions { direction: Direction::Backward, ..ReadAllOptions::default() };
    let read: Vec<_> = store.read_all(backward).try_collect().await.expect("the log is read");
    assert_eq!(versions(&read), [1, 5, 4, 3]);
    // A page of one document does not stop at a removed event.
    let (mut after, mut read) = (0, Vec::new());
    loop {
        let options = ReadPageOptions { after, limit: Some(1), ..ReadPageOptions::default() };
        let page = store.read_page(options).await.expect("the page is read");
        read.extend(page.events.into_iter().map(|event| event.version));
        assert!(page.caught_up || page.reached > after, "a page moves its cursor");
        if page.caught_up {
            break;
        }
        after = page.reached;
    }
    assert_eq!(read, [3, 4, 5, 1]);
    // The ids stay known, and removed content counts as equal.
    let again = append(&store, "s", placed).await;
    assert_eq!((again.version, again.position, again.repeated), (first.version, first.position, true));
    assert_eq!(append(&store, "s", [event(8)]).await.version, 7);
    snapshot_at(&store, 2).await;
}

/// Passes connections on to the case's server. Answers the URL to use, and how many connections are open.
async fn counting_proxy(room: &Room) -> (String, watch::Receiver<usize>) {
    let mut url = url::Url::parse(room.base()).expect("a URL");
    let server = (url.host_str().expect("a host").to_owned(), url.port().unwrap_or(27_017));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    url.set_host(Some("127.0.0.1")).expect("a host");
    url.set_port(Some(listener.local_addr().expect("an address").port())).expect("a port");
    // Without this the driver connects to the address that the server reports.
    url.query_pairs_mut().append_pair("directConnection", "true");
    let (count, open) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (server, count) = (server.clone(), count.clone());
            count.send_modify(|open| *open += 1);
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(server).await {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
                count.send_modify(|open| *open -= 1);
            });
        }
    });
    (url.into(), open)
}

/// The next event of a subscription.
async fn next_event(subscription: &mut Subscription) -> String {
    loop {
        let batch = subscription.next_batch().await.expect("a batch").expect("the subscription goes on");
        if let Some(event) = batch.events.first() {
            return event.data.as_json().expect("a number").to_owned();
        }
    }
}

async fn namespaces_of_a_mongodb_share_its_client(room: Room) {
    /// The pool has one connection more than the store's work may use, and one client reads the change stream. Either
    /// client has up to two connections to watch the server.
    const MOST: usize = (2 + 1) + 2 + 1 + 2;
    let (url, open) = counting_proxy(&room).await;
    let name = |number: usize| format!("{}_{number}", room.namespace());
    let (mut stores, mut subscriptions) = (Vec::new(), Vec::new());
    for number in 0..20 {
        // No event is found by polling.
        let options = OpenOptions::new(url.as_str()).max_connections(2).poll_interval(Duration::from_secs(600));
        let store = options.namespace(name(number)).open().await.expect("the namespace opens");
        append(&store, "s", [event(number)]).await;
        let options = SubscribeOptions { start: Some(Start::Beginning), ..SubscribeOptions::default() };
        let mut subscription = store.subscribe(options);
        assert_eq!(next_event(&mut subscription).await, number.to_string());
        subscriptions.push(subscription);
        stores.push(store);
    }
    // The change stream tells each of them what another client writes.
    for number in [0, 7, 19] {
        let other = room.options().namespace(name(number)).open().await.expect("another client");
        append(&other, "s", [event(100)]).await;
        assert_eq!(next_event(&mut subscriptions[number]).await, "100", "in namespace {number}");
        other.close().await.expect("the store closes");
    }
    let connections = *open.borrow();
    assert!((1..=MOST).contains(&connections), "20 namespaces have {connections} connections");
    // Those that close disturb no other, and the last one ends the client.
    drop(subscriptions.drain(1..));
    let closing = stores.drain(1..).collect::<Vec<_>>();
    let closing = tokio::spawn(async move {
        for store in closing {
            store.close().await.expect("the store closes");
        }
    });
    while !closing.is_finished() {
        append(&stores[0], "t", [event(200)]).await;
    }
    closing.await.expect("they close");
    assert_eq!(next_event(&mut subscriptions[0]).await, "200");
    drop(subscriptions);
    stores[0].close().await.expect("the store closes");
    let ended = open.clone().wait_for(|open| *open == 0).await.is_ok();
    assert!(ended, "every connection is closed");
}
