//! Rules 9 and 10: reads have no gaps and show own writes at once, use bounded memory, and hold no connection.

use futures::TryStreamExt;
use streamkeep::limits::{PAGE_BYTES, PAGE_EVENTS};
use streamkeep::{Direction, Event, Query, QueryItem, ReadAllOptions, ReadOptions, ReadPageOptions, RecordedEvent};

use super::{append, event, events, stream, versions};
use crate::harness::Room;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        a_reader_sees_its_own_writes_at_once,
        a_reader_never_sees_a_hole_or_half_an_append,
        the_last_event_of_a_stream_is_seen_at_once,
        a_long_stream_is_read_page_by_page_in_both_directions,
        a_page_holds_at_most_1_000_events_and_4_mib_or_one_event,
        abandoned_readers_hold_no_connection,
        limits_and_bounds_hold_across_pages,
        a_read_ends_at_the_head_that_it_began_with,
    ]
}

async fn a_reader_sees_its_own_writes_at_once(room: Room) {
    let store = room.store().await;
    for number in 1..=30 {
        let done = append(&store, "s", [event(number)]).await;
        assert_eq!(stream(&store, "s").await.last().map(|event| event.version), Some(done.version));
        let last = ReadAllOptions { direction: Direction::Backward, limit: Some(1), ..ReadAllOptions::default() };
        let last: Vec<RecordedEvent> = store.read_all(last).try_collect().await.expect("the log is read");
        assert_eq!(last.first().map(|event| event.position), Some(done.position));
        assert_eq!(store.head().await.expect("the head is read"), done.position);
    }
}

async fn a_reader_never_sees_a_hole_or_half_an_append(room: Room) {
    const TOGETHER: u64 = 3;
    const APPENDS: u64 = 40;
    let (writer, reader) = (room.store().await, room.store().await);
    let writing = tokio::spawn(async move {
        for _ in 0..APPENDS {
            append(&writer, "s", events(TOGETHER)).await;
        }
    });
    let mut seen = 0;
    while seen < APPENDS * TOGETHER {
        let read = versions(&stream(&reader, "s").await);
        let length = read.len() as u64;
        assert_eq!(read, (1..=length).collect::<Vec<_>>(), "the versions have no gap");
        assert_eq!(length % TOGETHER, 0, "an append is seen whole");
        assert!(length >= seen, "no event disappears");
        seen = length;
    }
    writing.await.expect("the writer ends");
}

async fn the_last_event_of_a_stream_is_seen_at_once(room: Room) {
    let (writer, reader) = (room.store().await, room.store().await);
    assert_eq!(reader.last("s").await.expect("an absent stream has no last event"), None);
    for number in 1..=10 {
        append(&writer, "s", events(number)).await;
        append(&writer, "s-other", [event(number)]).await;
        let last = reader.last("s").await.expect("the last event is read");
        assert!(last.is_some());
        assert_eq!(last, stream(&reader, "s").await.pop());
    }
    let refused = reader.last("").await.expect_err("a stream has a name");
    assert_eq!((refused.code(), refused.operation()), ("invalid-argument", Some("last")));
    reader.close().await.expect("the store closes");
    let refused = reader.last("s").await.expect_err("a closed store reads nothing");
    assert_eq!((refused.code(), refused.operation()), ("closed", Some("last")));
}

async fn a_long_stream_is_read_page_by_page_in_both_directions(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(2_500)).await;
    assert_eq!(versions(&stream(&store, "s").await), (1..=2_500).collect::<Vec<_>>());
    let backward = ReadOptions { direction: Direction::Backward, ..ReadOptions::default() };
    let backward: Vec<RecordedEvent> = store.read("s", backward).try_collect().await.expect("the stream is read");
    assert_eq!(versions(&backward), (1..=2_500).rev().collect::<Vec<_>>());
    let mut log = store.read_all(ReadAllOptions { direction: Direction::Backward, ..ReadAllOptions::default() });
    let mut pages = Vec::new();
    while let Some(page) = log.next_page().await.expect("the page is read") {
        pages.push(page.len());
    }
    assert_eq!(pages, [1_000, 1_000, 500]);
}

async fn a_page_holds_at_most_1_000_events_and_4_mib_or_one_event(room: Room) {
    let store = room.store().await;
    let megabytes = |count: usize| Event::bytes("E", vec![1; count << 20]);
    append(&store, "s", [megabytes(3), megabytes(2), megabytes(1), megabytes(7), megabytes(1)]).await;
    for mut pages in [store.read("s", 1..), store.read_all(ReadAllOptions::default())] {
        let mut read = 0;
        while let Some(page) = pages.next_page().await.expect("the page is read") {
            let bytes: usize = page.iter().map(|event| event.data.len()).sum();
            assert!(
                page.len() == 1 || (bytes <= PAGE_BYTES && page.len() <= PAGE_EVENTS),
                "{} events, {bytes} bytes",
                page.len()
            );
            read += page.len();
        }
        assert_eq!(read, 5);
    }
    let page = store.read_page(ReadPageOptions::default()).await.expect("the page is read");
    assert!(
        page.events.len() == 1 && !page.caught_up && page.reached == page.events[0].position,
        "{} events",
        page.events.len()
    );
}

async fn abandoned_readers_hold_no_connection(room: Room) {
    let store = room.options().max_connections(1).open().await.expect("the store opens");
    append(&store, "s", events(3_000)).await;
    let mut half_way = Vec::new();
    for _ in 0..20 {
        let (mut of_stream, mut of_log) = (store.read("s", 1..), store.read_all(ReadAllOptions::default()));
        of_stream.try_next().await.expect("the event is read");
        of_log.try_next().await.expect("the event is read");
        half_way.push((of_stream, of_log));
    }
    // With only one connection, a reader that held it would block every call below.
    append(&store, "s", [event("\"more\"")]).await;
    assert_eq!(stream(&store, "s").await.len(), 3_001);
    for (of_stream, _) in &mut half_way {
        assert_eq!(of_stream.try_next().await.expect("the read continues").map(|event| event.version), Some(2));
    }
}

async fn limits_and_bounds_hold_across_pages(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(2_600)).await;
    for direction in [Direction::Forward, Direction::Backward] {
        let options =
            ReadOptions { from_version: 200, to_version: 2_400, direction, limit: Some(2_100), timeout: None };
        let read: Vec<RecordedEvent> = store.read("s", options).try_collect().await.expect("the stream is read");
        let mut expected: Vec<u64> = (200..=2_400).collect();
        if direction == Direction::Backward {
            expected.reverse();
        }
        assert_eq!(versions(&read), expected[..2_100]);
    }
}

/// The log has more than two pages, because the second is requested before the caller has the first.
async fn a_read_ends_at_the_head_that_it_began_with(room: Room) {
    const THERE: u64 = 2_500;
    let store = room.store().await;
    append(&store, "s", events(THERE)).await;
    let matching = Query::from(QueryItem { streams: vec!["s".to_owned()], ..QueryItem::default() });
    let log = |query: &Query, direction| {
        store.read_all(ReadAllOptions { query: query.clone(), direction, ..ReadAllOptions::default() })
    };
    let mut there = THERE;
    for direction in [Direction::Forward, Direction::Backward] {
        let reads = [
            ("stream", store.read("s", ReadOptions { direction, ..ReadOptions::default() })),
            ("log", log(&Query::default(), direction)),
            ("query", log(&matching, direction)),
        ];
        for (what, mut pages) in reads {
            let (began_with, mut read) = (there, 0);
            while let Some(page) = pages.next_page().await.expect("the page is read") {
                read += page.len() as u64;
                append(&store, "s", [event(0)]).await;
                there += 1;
            }
            assert_eq!(read, began_with, "{what} {direction:?}");
        }
    }
}
