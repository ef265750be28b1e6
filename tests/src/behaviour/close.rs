//! Rule 25: a close waits for the calls in flight, and later calls fail with `closed`.

use std::task::Poll;
use std::time::Duration;

use futures::{TryStreamExt, poll};
use streamkeep::{
    AppendOptions, Error, Event, EventStore, ExpectedVersion, Item, Outcome, Payload, ReadAllOptions, ReadOptions,
    ReadPageOptions, Snapshot, SubscribeOptions,
};

use super::{append, event, events, refused, stream};
use crate::harness::{Backend, Room};
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        close_waits_for_the_calls_in_flight,
        closing_twice_succeeds,
        every_call_on_a_closed_store_fails_with_closed,
        running_iterators_end_with_closed,
        a_close_does_not_affect_another_handle,
        a_close_does_not_wait_for_a_late_append_that_nobody_polls: lacking NO_LOCKS,
        a_close_does_not_wait_for_appends_without_room_that_nobody_polls,
        a_close_after_an_abandoned_one_waits_until_everything_is_freed: lacking NO_FILE,
    ]
}

const NO_LOCKS: &[(Backend, &str)] = &[(Backend::Memory, "no other client can lock it")];
const NO_FILE: &[(Backend, &str)] = &[
    (Backend::Memory, "it has no file"),
    (Backend::Postgres, "its files are the server's"),
    (Backend::Mongodb, "its files are the server's"),
];

async fn close_waits_for_the_calls_in_flight(room: Room) {
    let (store, other) = (room.store().await, room.store().await);
    let appends: Vec<_> = (0..20)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move { store.append(format!("s-{caller}"), events(5), ExpectedVersion::NoStream).await })
        })
        .collect();
    // An append is in flight or begins too late; no acknowledged append may be lost, and none may hang.
    tokio::task::yield_now().await;
    store.close().await.expect("the store closes");
    for (caller, task) in appends.into_iter().enumerate() {
        let written = stream(&other, &format!("s-{caller}")).await.len();
        match task.await.expect("the task ends") {
            Ok(done) => assert_eq!((done.version, written), (5, 5)),
            Err(error) => assert_eq!((error.code(), written), ("closed", 0)),
        }
    }
}

async fn closing_twice_succeeds(room: Room) {
    let store = room.store().await;
    let clone = store.clone();
    let (first, second) = tokio::join!(store.close(), clone.close());
    first.and(second).expect("both closes succeed");
    store.close().await.expect("a second close succeeds");
    assert!(store.is_closed() && clone.is_closed());
}

async fn every_call_on_a_closed_store_fails_with_closed(room: Room) {
    let store = room.store().await;
    append(&store, "s", [event(1)]).await;
    store.close().await.expect("the store closes");
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

async fn running_iterators_end_with_closed(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(2_500)).await;
    let mut of_stream = store.read("s", 1..);
    let mut of_log = store.read_all(ReadAllOptions::default());
    assert!(
        of_stream.try_next().await.expect("the event is read").is_some()
            && of_log.try_next().await.expect("the event is read").is_some()
    );
    let mut subscription =
        store.subscribe(SubscribeOptions { start: Some(streamkeep::Start::Now), ..SubscribeOptions::default() });
    assert_eq!(subscription.try_next().await.expect("the next item is read"), Some(Item::CaughtUp));
    let waiting = tokio::spawn(async move { subscription.try_next().await });
    store.close().await.expect("the store closes");
    assert_eq!(refused(of_stream.try_next().await).code(), "closed");
    assert_eq!(refused(of_log.try_next().await).code(), "closed");
    let ended = tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .expect("the read ends in time")
        .expect("the task ends");
    assert_eq!(refused(ended).code(), "closed");
}

async fn a_close_does_not_affect_another_handle(room: Room) {
    let (store, other) = (room.store().await, room.store().await);
    append(&store, "s", [event(1)]).await;
    store.close().await.expect("the store closes");
    append(&other, "s", [event(2)]).await;
    assert_eq!(stream(&other, "s").await.len(), 2);
}

/// Closes a store while futures of it are alive that nobody polls, as after a `select!`.
async fn close_unpolled(room: &Room, store: &EventStore) {
    let closed = tokio::time::timeout(Duration::from_secs(20) * room.backend().patience(), store.close());
    closed.await.expect("the close ends").expect("the store closes");
}

async fn a_close_does_not_wait_for_a_late_append_that_nobody_polls(room: Room) {
    let (store, other) = (room.store().await, room.store().await);
    append(&store, "s", [event(1)]).await;
    let lock = room.lock_out_writers().await;
    let within = |millis| AppendOptions { timeout: Some(Duration::from_millis(millis)), ..AppendOptions::default() };
    let mut first = Box::pin(store.append("s", [event(2)], within(1_500)));
    let mut second = Box::pin(store.append("s", [event(3)], within(100)));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    assert_eq!(refused(first.await).code(), "unavailable");
    lock.release().await;
    close_unpolled(&room, &store).await;
    let late = refused(second.await);
    assert_eq!((late.code(), late.outcome()), ("unavailable", Outcome::NotApplied), "{late:?}");
    assert!(stream(&other, "s").await.iter().all(|event| event.data.as_json() != Some("3")));
}

async fn a_close_does_not_wait_for_appends_without_room_that_nobody_polls(room: Room) {
    let (store, other) = (room.store().await, room.store().await);
    let mut appends = Vec::new();
    for caller in 0..10 {
        let events = [Event::bytes("E", vec![7; 8 << 20])];
        let mut append = Box::pin(store.append(format!("s-{caller}"), events, ExpectedVersion::NoStream));
        let polled = poll!(&mut append);
        appends.push((append, polled));
    }
    close_unpolled(&room, &store).await;
    for (caller, (append, polled)) in appends.into_iter().enumerate() {
        let written = stream(&other, &format!("s-{caller}")).await.len();
        let answer = match polled {
            Poll::Ready(answer) => answer,
            Poll::Pending => append.await,
        };
        match answer {
            Ok(_) => assert_eq!(written, 1),
            Err(error) => assert_eq!((error.code(), error.outcome(), written), ("closed", Outcome::NotApplied, 0)),
        }
    }
}

async fn a_close_after_an_abandoned_one_waits_until_everything_is_freed(room: Room) {
    let wal = room.folder().join("events.db-wal");
    for _ in 0..20 {
        let store = room.store().await;
        append(&store, "s", [event(1)]).await;
        let mut abandoned = Box::pin(store.close());
        let _ = poll!(&mut abandoned);
        drop(abandoned);
        store.close().await.expect("the store closes");
        assert!(!wal.exists(), "the last connection removes the WAL");
    }
}
