//! Rule 11: once a reader of the log has seen a position, no event with a smaller one ever appears.

use std::collections::HashSet;

use futures::TryStreamExt;
use streamkeep::{Direction, ErrorKind, EventStore, MAX_POSITION, QueryItem, ReadAllOptions, ReadPageOptions};

use super::{all_at_once, append, event, events, log, refused};
use crate::harness::Room;
use crate::suite::Case;

const WRITERS: u64 = 8;
const APPENDS: u64 = 25;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        no_event_appears_below_a_position_that_a_reader_has_seen,
        reached_is_the_position_of_a_committed_event,
        a_page_at_the_end_is_empty_and_keeps_its_cursor,
        a_bound_above_every_position_is_a_checkpoint_ahead_in_both_directions,
        namespaces_do_not_see_each_other,
    ]
}

/// Follows the log page by page until it has every event, and returns the positions in the order in which it saw them.
async fn follow(store: EventStore, expected: usize) -> Vec<u64> {
    let (mut after, mut seen) = (0, Vec::new());
    while seen.len() < expected {
        let page = store
            .read_page(ReadPageOptions { after, limit: Some(7), ..ReadPageOptions::default() })
            .await
            .expect("the page is read");
        assert!(page.reached >= after, "a page does not go back");
        assert!(
            page.events.iter().all(|event| event.position > after && event.position <= page.reached),
            "every event is inside its page"
        );
        seen.extend(page.events.iter().map(|event| event.position));
        after = page.reached;
        if page.events.is_empty() {
            tokio::task::yield_now().await;
        }
    }
    seen
}

async fn no_event_appears_below_a_position_that_a_reader_has_seen(room: Room) {
    let stores = [room.store().await, room.store().await];
    let total = usize::try_from(WRITERS * APPENDS * 2).expect("the number fits");
    let readers: Vec<_> = stores.iter().cloned().map(|store| tokio::spawn(follow(store, total))).collect();
    let writers = (0..WRITERS).map(|writer| {
        let store = stores[usize::try_from(writer % 2).expect("the number fits")].clone();
        async move {
            for round in 0..APPENDS {
                append(&store, &format!("s-{writer}"), [event(round), event(round)]).await;
            }
        }
    });
    all_at_once(writers).await;
    let there: Vec<u64> = log(&stores[0]).await.iter().map(|event| event.position).collect();
    for reader in readers {
        // The positions grow and none is missing, so every event that appeared later has a higher position.
        assert_eq!(reader.await.expect("the reader ends"), there);
    }
}

async fn reached_is_the_position_of_a_committed_event(room: Room) {
    let store = room.store().await;
    let mut positions = HashSet::from([0]);
    for round in 0..10 {
        let page = store.read_page(ReadPageOptions::default()).await.expect("the page is read");
        assert!(positions.contains(&page.reached) && page.caught_up);
        assert!(positions.contains(&store.head().await.expect("the head is read")));
        // A refused append may draw positions, but no caller gets one of those.
        store.append("s", events(3), 1_000).await.expect_err("the append conflicts");
        positions.insert(append(&store, "s", [event(round)]).await.position);
    }
}

async fn a_page_at_the_end_is_empty_and_keeps_its_cursor(room: Room) {
    let store = room.store().await;
    let done = append(&store, "s", events(2)).await;
    let page = store
        .read_page(ReadPageOptions { after: done.position, ..ReadPageOptions::default() })
        .await
        .expect("the page is read");
    assert_eq!((page.events.len(), page.reached, page.caught_up), (0, done.position, true));
    let next = append(&store, "s", [event(3)]).await;
    let page = store
        .read_page(ReadPageOptions { after: page.reached, ..ReadPageOptions::default() })
        .await
        .expect("the page is read");
    assert_eq!((page.events.len(), page.reached), (1, next.position));
}

async fn a_bound_above_every_position_is_a_checkpoint_ahead_in_both_directions(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(3)).await;
    let tagged = QueryItem { tags: vec!["t".to_owned()], ..QueryItem::default() };
    for after in [MAX_POSITION, MAX_POSITION + 1, i64::MAX.unsigned_abs(), u64::MAX] {
        for direction in [Direction::Forward, Direction::Backward] {
            for (before, query) in [
                (None, streamkeep::Query::default()),
                (Some(u64::MAX), tagged.clone().into()),
                (Some(2), streamkeep::Query::default()),
                (Some(0), tagged.clone().into()),
            ] {
                let options = ReadAllOptions { after, before, query, direction, ..ReadAllOptions::default() };
                let error = refused(store.read_all(options).try_next().await);
                assert!(
                    matches!(error.kind(), ErrorKind::CheckpointAhead { checkpoint, .. } if *checkpoint == after),
                    "after {after}, before {before:?}, {direction:?}: {error:?}"
                );
            }
        }
    }
    // Such a position as an upper bound restricts nothing.
    for before in [MAX_POSITION, i64::MAX.unsigned_abs(), u64::MAX] {
        for direction in [Direction::Forward, Direction::Backward] {
            let options = ReadAllOptions { before: Some(before), direction, ..ReadAllOptions::default() };
            let all: Vec<_> = store.read_all(options).try_collect().await.expect("the log is read");
            assert_eq!(all.len(), 3, "before {before}, {direction:?}");
        }
    }
}

async fn namespaces_do_not_see_each_other(room: Room) {
    let here = room.store().await;
    let there =
        room.options().namespace(format!("{}_b", room.namespace())).open().await.expect("the other namespace opens");
    let shared = event(1);
    append(&here, "s", [shared.clone()]).await;
    let done = append(&there, "s", [shared]).await;
    assert_eq!((done.version, done.repeated), (1, false), "an id of another namespace is new in this one");
    append(&there, "s", events(5)).await;
    assert_eq!((log(&here).await.len(), log(&there).await.len()), (1, 6));
}
