//! Rule 25: close waits for what is in flight; use after it is closed.

use std::time::Duration;

use futures::TryStreamExt;
use streamkeep::{
    Error, ExpectedVersion, Item, Payload, ReadAllOptions, ReadOptions, ReadPageOptions, Snapshot, SubscribeOptions,
};

use super::{append, event, events, refused, stream};
use crate::harness::Room;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        closing_waits_for_what_is_in_flight,
        closing_twice_is_fine,
        every_use_of_a_closed_store_is_closed,
        running_iterators_end_as_closed,
        another_handle_is_not_touched,
    ]
}

async fn closing_waits_for_what_is_in_flight(room: Room) {
    let (store, other) = (room.store().await, room.store().await);
    let appends: Vec<_> = (0..20)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move { store.append(format!("s-{caller}"), events(5), ExpectedVersion::NoStream).await })
        })
        .collect();
    // All have begun or come too late; none may be acknowledged and lost, or hang.
    tokio::task::yield_now().await;
    store.close().await.expect("it closes");
    for (caller, task) in appends.into_iter().enumerate() {
        let written = stream(&other, &format!("s-{caller}")).await.len();
        match task.await.expect("the task") {
            Ok(done) => assert_eq!((done.version, written), (5, 5)),
            Err(error) => assert_eq!((error.code(), written), ("closed", 0)),
        }
    }
}

async fn closing_twice_is_fine(room: Room) {
    let store = room.store().await;
    let clone = store.clone();
    let (first, second) = tokio::join!(store.close(), clone.close());
    first.and(second).expect("both close");
    store.close().await.expect("it is closed");
    assert!(store.is_closed() && clone.is_closed());
}

async fn every_use_of_a_closed_store_is_closed(room: Room) {
    let store = room.store().await;
    append(&store, "s", [event(1)]).await;
    store.close().await.expect("it closes");
    let snapshot =
        Snapshot { stream: "s".to_owned(), version: 1, schema: "f".to_owned(), data: Payload::Json("{}".to_owned()) };
    let errors: Vec<Error> = vec![
        refused(store.append("s", [event(2)], ExpectedVersion::Any).await),
        refused(store.import_events([]).await),
        refused(store.read("s", ReadOptions::default()).try_next().await),
        refused(store.read_all(ReadAllOptions::default()).next_page().await),
        refused(store.read_page(ReadPageOptions::default()).await),
        refused(store.subscribe(SubscribeOptions::default()).try_next().await),
        refused(store.save_snapshot(snapshot).await),
        refused(store.load_snapshot("s", "f", None).await),
        refused(store.head().await),
    ];
    for (place, error) in errors.iter().enumerate() {
        assert_eq!((error.code(), error.retryable()), ("closed", false), "operation {place}");
    }
}

async fn running_iterators_end_as_closed(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(2_500)).await;
    let mut of_stream = store.read("s", 1..);
    let mut of_log = store.read_all(ReadAllOptions::default());
    assert!(
        of_stream.try_next().await.expect("an event").is_some() && of_log.try_next().await.expect("an event").is_some()
    );
    let mut subscription =
        store.subscribe(SubscribeOptions { start: Some(streamkeep::Start::Now), ..SubscribeOptions::default() });
    assert_eq!(subscription.try_next().await.expect("news"), Some(Item::CaughtUp));
    let waiting = tokio::spawn(async move { subscription.try_next().await });
    store.close().await.expect("it closes");
    assert_eq!(refused(of_stream.try_next().await).code(), "closed");
    assert_eq!(refused(of_log.try_next().await).code(), "closed");
    let ended =
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it does not hang").expect("the task");
    assert_eq!(refused(ended).code(), "closed");
}

async fn another_handle_is_not_touched(room: Room) {
    let (store, other) = (room.store().await, room.store().await);
    append(&store, "s", [event(1)]).await;
    store.close().await.expect("it closes");
    append(&other, "s", [event(2)]).await;
    assert_eq!(stream(&other, "s").await.len(), 2);
}
