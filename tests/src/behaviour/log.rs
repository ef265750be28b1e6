//! Rule 11: once a reader of the log has seen a position, no event with a smaller one ever appears.

use std::collections::HashSet;

use streamkeep::{EventStore, ReadPageOptions};

use super::{all_at_once, append, event, events, log};
use crate::harness::Room;
use crate::suite::Case;

const WRITERS: u64 = 8;
const APPENDS: u64 = 25;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        no_event_ever_appears_below_what_a_reader_has_seen,
        reached_is_the_position_of_a_committed_event,
        a_page_behind_the_end_gives_nothing_and_stays,
        namespaces_do_not_see_each_other,
    ]
}

/// Follows the log page by page until everything is there; what it saw, in the order it saw it.
async fn follow(store: EventStore, expected: usize) -> Vec<u64> {
    let (mut after, mut seen) = (0, Vec::new());
    while seen.len() < expected {
        let page = store
            .read_page(ReadPageOptions { after, limit: Some(7), ..ReadPageOptions::default() })
            .await
            .expect("a page");
        assert!(page.reached >= after, "a page that goes back");
        assert!(
            page.events.iter().all(|event| event.position > after && event.position <= page.reached),
            "events outside the page"
        );
        seen.extend(page.events.iter().map(|event| event.position));
        after = page.reached;
        if page.events.is_empty() {
            tokio::task::yield_now().await;
        }
    }
    seen
}

async fn no_event_ever_appears_below_what_a_reader_has_seen(room: Room) {
    let stores = [room.store().await, room.store().await];
    let total = usize::try_from(WRITERS * APPENDS * 2).expect("small");
    let readers: Vec<_> = stores.iter().cloned().map(|store| tokio::spawn(follow(store, total))).collect();
    let writers = (0..WRITERS).map(|writer| {
        let store = stores[usize::try_from(writer % 2).expect("small")].clone();
        async move {
            for round in 0..APPENDS {
                append(&store, &format!("s-{writer}"), [event(round), event(round)]).await;
            }
        }
    });
    all_at_once(writers).await;
    let there: Vec<u64> = log(&stores[0]).await.iter().map(|event| event.position).collect();
    for reader in readers {
        // In order, none twice, none missed: whatever appears later stands above.
        assert_eq!(reader.await.expect("the reader"), there);
    }
}

async fn reached_is_the_position_of_a_committed_event(room: Room) {
    let store = room.store().await;
    let mut positions = HashSet::from([0]);
    for round in 0..10 {
        let page = store.read_page(ReadPageOptions::default()).await.expect("a page");
        assert!(positions.contains(&page.reached) && page.caught_up);
        assert!(positions.contains(&store.head().await.expect("the head")));
        // A refused append may draw positions; nobody is ever handed one of those.
        store.append("s", events(3), 1_000).await.expect_err("a conflict");
        positions.insert(append(&store, "s", [event(round)]).await.position);
    }
}

async fn a_page_behind_the_end_gives_nothing_and_stays(room: Room) {
    let store = room.store().await;
    let done = append(&store, "s", events(2)).await;
    let page =
        store.read_page(ReadPageOptions { after: done.position, ..ReadPageOptions::default() }).await.expect("a page");
    assert_eq!((page.events.len(), page.reached, page.caught_up), (0, done.position, true));
    let next = append(&store, "s", [event(3)]).await;
    let page =
        store.read_page(ReadPageOptions { after: page.reached, ..ReadPageOptions::default() }).await.expect("a page");
    assert_eq!((page.events.len(), page.reached), (1, next.position));
}

async fn namespaces_do_not_see_each_other(room: Room) {
    let here = room.store().await;
    let there = room.options().namespace(format!("{}_b", room.namespace())).open().await.expect("another namespace");
    let shared = event(1);
    append(&here, "s", [shared.clone()]).await;
    let done = append(&there, "s", [shared]).await;
    assert_eq!((done.version, done.repeated), (1, false), "ids of another namespace are not known here");
    append(&there, "s", events(5)).await;
    assert_eq!((log(&here).await.len(), log(&there).await.len()), (1, 6));
}
