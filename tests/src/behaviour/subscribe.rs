//! Rules 12 to 15: a subscription catches up and then goes live.

use std::time::Duration;

use futures::TryStreamExt;
use streamkeep::{ErrorKind, EventStore, Item, Query, QueryItem, RecordedEvent, Start, SubscribeOptions, Subscription};

use super::{all_at_once, append, data, event, events, log, refused};
use crate::harness::{Backend, Room};
use crate::servers::Server;
use crate::suite::Case;

/// No event may take longer than this to arrive: many times the poll interval, for a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        a_subscription_misses_and_repeats_nothing_when_it_goes_live,
        a_subscription_gets_the_events_of_another_handle,
        a_subscription_begins_at_the_given_start,
        a_subscription_says_once_that_it_has_caught_up,
        a_subscription_gives_only_matching_events,
        a_subscription_above_the_log_is_a_checkpoint_ahead,
        a_slow_subscription_gets_every_event,
        a_slow_subscription_slows_no_other,
        idle_subscriptions_hold_no_connection,
        a_stopped_subscription_ends,
        a_subscription_survives_a_restart_of_its_database: lacking NO_SERVER,
    ]
}

const NO_SERVER: &[(Backend, &str)] = &[(Backend::Memory, "it has no server"), (Backend::Sqlite, "it has no server")];

async fn next(subscription: &mut Subscription) -> Item {
    let next = tokio::time::timeout(PATIENCE, subscription.try_next()).await.expect("the next item arrives in time");
    next.expect("the subscription gives no error").expect("the subscription goes on")
}

/// The next `count` events, without the other items.
async fn take(subscription: &mut Subscription, count: usize) -> Vec<RecordedEvent> {
    let mut taken = Vec::new();
    while taken.len() < count {
        if let Item::Event(event) = next(subscription).await {
            taken.push(event);
        }
    }
    taken
}

async fn until_caught_up(subscription: &mut Subscription) -> Vec<RecordedEvent> {
    let mut taken = Vec::new();
    while let Item::Event(event) = next(subscription).await {
        taken.push(event);
    }
    taken
}

async fn a_subscription_misses_and_repeats_nothing_when_it_goes_live(room: Room) {
    const WRITERS: u64 = 6;
    const APPENDS: u64 = 40;
    let stores = [room.store().await, room.store().await];
    append(&stores[0], "before", events(1_500)).await;
    let total = 1_500 + usize::try_from(WRITERS * APPENDS).expect("the number fits");
    let followers: Vec<_> = stores
        .iter()
        .map(|store| {
            let mut subscription = store.subscribe(SubscribeOptions::default());
            tokio::spawn(async move { take(&mut subscription, total).await })
        })
        .collect();
    let writers = (0..WRITERS).map(|writer| {
        let store = stores[usize::try_from(writer % 2).expect("the number fits")].clone();
        async move {
            for round in 0..APPENDS {
                append(&store, &format!("s-{writer}"), [event(round)]).await;
            }
        }
    });
    all_at_once(writers).await;
    let there = log(&stores[0]).await;
    assert_eq!(there.len(), total);
    for follower in followers {
        assert_eq!(follower.await.expect("the subscriber ends"), there);
    }
}

async fn a_subscription_gets_the_events_of_another_handle(room: Room) {
    let (writer, reader) = (room.store().await, room.store().await);
    let mut subscription = reader.subscribe(SubscribeOptions::default());
    assert!(until_caught_up(&mut subscription).await.is_empty());
    for number in 0..5 {
        append(&writer, "s", [event(number)]).await;
        assert_eq!(data(&take(&mut subscription, 1).await), [number.to_string()]);
    }
}

async fn a_subscription_begins_at_the_given_start(room: Room) {
    let store = room.store().await;
    append(&store, "s", [event(1)]).await;
    let second = append(&store, "s", [event(2)]).await;
    let begin = |start, after| store.subscribe(SubscribeOptions { start, after, ..SubscribeOptions::default() });
    let mut subscriptions = [
        begin(None, None),
        begin(Some(Start::Beginning), None),
        begin(Some(Start::Now), None),
        begin(None, Some(second.position)),
    ];
    let mut caught_up = Vec::new();
    for subscription in &mut subscriptions {
        caught_up.push(until_caught_up(subscription).await.len());
    }
    assert_eq!(caught_up, [2, 2, 0, 0]);
    append(&store, "s", [event(3)]).await;
    for subscription in &mut subscriptions {
        assert_eq!(data(&take(subscription, 1).await), ["3"]);
    }
    let mut both = begin(Some(Start::Now), Some(0));
    assert_eq!(refused(both.try_next().await).kind(), &ErrorKind::InvalidArgument { argument: "after".to_owned() });
}

async fn a_subscription_says_once_that_it_has_caught_up(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(2)).await;
    let mut subscription = store.subscribe(SubscribeOptions::default());
    assert_eq!(until_caught_up(&mut subscription).await.len(), 2);
    for number in 0..5 {
        append(&store, "s", [event(number)]).await;
        assert!(matches!(next(&mut subscription).await, Item::Event(_)), "after 'caught up' the next item is an event");
    }
}

async fn a_subscription_gives_only_matching_events(room: Room) {
    let store = room.store().await;
    let tagged = QueryItem { tags: vec!["t".to_owned()], ..QueryItem::default() };
    let orders = QueryItem { categories: vec!["order".to_owned()], ..QueryItem::default() };
    let query = Query { items: vec![tagged, orders] };
    let mut subscription = store.subscribe(SubscribeOptions { query, ..SubscribeOptions::default() });
    append(&store, "other-1", [event(1), event(2).with_tags(["t"])]).await;
    assert_eq!(data(&until_caught_up(&mut subscription).await), ["2"]);
    append(&store, "other-1", events(50)).await;
    append(&store, "order-1", [event(3)]).await;
    append(&store, "other-1", [event(4), event(5).with_tags(["u", "t"])]).await;
    assert_eq!(data(&take(&mut subscription, 2).await), ["3", "5"]);
}

async fn a_subscription_above_the_log_is_a_checkpoint_ahead(room: Room) {
    let store = room.store().await;
    let head = append(&store, "s", events(2)).await.position;
    let mut subscription =
        store.subscribe(SubscribeOptions { after: Some(head + 1_000), ..SubscribeOptions::default() });
    let ended = tokio::time::timeout(PATIENCE, subscription.try_next()).await.expect("the subscription ends in time");
    let error = refused(ended);
    assert!(
        matches!(error.kind(), ErrorKind::CheckpointAhead { consumer: None, checkpoint, head: h } if *checkpoint == head + 1_000 && *h >= head),
        "{error:?}"
    );
}

async fn a_slow_subscription_gets_every_event(room: Room) {
    let store = room.store().await;
    let mut subscription = store.subscribe(SubscribeOptions::default());
    until_caught_up(&mut subscription).await;
    // Much more than a subscription buffers; appends do not wait for it.
    for part in 0..5 {
        append(&store, &format!("s-{part}"), events(1_000)).await;
    }
    assert_eq!(take(&mut subscription, 5_000).await, log(&store).await);
}

async fn a_slow_subscription_slows_no_other(room: Room) {
    let store = room.store().await;
    let (mut slow, mut fast) =
        (store.subscribe(SubscribeOptions::default()), store.subscribe(SubscribeOptions::default()));
    until_caught_up(&mut slow).await;
    until_caught_up(&mut fast).await;
    // One subscription takes each event as it comes; the other takes none until more than a window is written.
    for part in 0..5 {
        append(&store, &format!("s-{part}"), events(500)).await;
        assert_eq!(take(&mut fast, 500).await.len(), 500);
    }
    let there = log(&store).await;
    assert_eq!(take(&mut slow, 2_500).await, there);
    // Both are live again, at the same position.
    let done = append(&store, "s", [event(1)]).await;
    for subscription in [&mut slow, &mut fast] {
        let next = take(subscription, 1).await;
        assert_eq!(next.first().map(|event| event.position), Some(done.position));
    }
}

async fn idle_subscriptions_hold_no_connection(room: Room) {
    let store = room.options().max_connections(1).open().await.expect("the store opens");
    let mut subscriptions = Vec::new();
    for _ in 0..15 {
        let mut subscription = store.subscribe(SubscribeOptions::default());
        until_caught_up(&mut subscription).await;
        subscriptions.push(subscription);
    }
    let waiting: Vec<_> = subscriptions
        .into_iter()
        .map(|mut subscription| tokio::spawn(async move { take(&mut subscription, 3).await.len() }))
        .collect();
    append(&store, "s", events(3)).await;
    assert_eq!(store.head().await.expect("the head is read"), log(&store).await[2].position);
    for subscription in waiting {
        assert_eq!(subscription.await.expect("the subscriber ends"), 3);
    }
}

async fn a_stopped_subscription_ends(room: Room) {
    let store = room.store().await;
    let mut subscription = store.subscribe(SubscribeOptions::default());
    until_caught_up(&mut subscription).await;
    let stopper = subscription.stopper();
    let waiting = tokio::spawn(async move { subscription.try_next().await });
    stopper.stop();
    stopper.stop();
    let ended =
        tokio::time::timeout(PATIENCE, waiting).await.expect("the subscription ends in time").expect("the task ends");
    assert_eq!(ended.expect("the subscription ends without an error"), None);
    append(&store, "s", events(1)).await;
}

async fn a_subscription_survives_a_restart_of_its_database(room: Room) {
    let backend = room.backend();
    let mut server = tokio::task::spawn_blocking(move || Server::start(backend))
        .await
        .expect("the task ends")
        .expect("the server starts");
    let options =
        streamkeep::OpenOptions::new(server.url()).namespace(room.namespace()).timeout(Duration::from_secs(20));
    let store: EventStore = options.open().await.expect("the store opens");
    append(&store, "s", [event(1)]).await;
    let mut subscription = store.subscribe(SubscribeOptions::default());
    assert_eq!(data(&until_caught_up(&mut subscription).await), ["1"]);
    let mut number = 1;
    let loss = loop {
        let mut waiting = tokio::spawn(async move {
            let taken = take(&mut subscription, 2).await;
            (taken, subscription)
        });
        server.stop_hard().expect("the server stops");
        // The subscription waits while the server is down and does not end.
        assert!(tokio::time::timeout(Duration::from_millis(600), &mut waiting).await.is_err());
        server.start_again().expect("the server starts");
        append(&store, "s", [event(number + 1), event(number + 2)]).await;
        let (taken, again) = waiting.await.expect("the subscriber ends");
        assert_eq!(data(&taken), [(number + 1).to_string(), (number + 2).to_string()]);
        (subscription, number) = (again, number + 2);
        match store.diagnose().await.expect("the diagnosis succeeds").last_loss {
            Some(loss) => break loss,
            // The server was back before a check of it failed.
            None => assert!(number < 10, "the store notices one of ten restarts"),
        }
    };
    assert!(loss.until.is_some_and(|until| until >= loss.since) && !loss.cause.is_empty(), "{loss:?}");
    store.close().await.expect("the store closes");
}
