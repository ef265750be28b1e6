//! Rule 10 and section 2: what a query matches, how large it may be, and that a page does not scan the log for it.

use futures::TryStreamExt;
use streamkeep::{
    Direction, ErrorKind, Event, EventStore, ImportEvent, Query, QueryItem, ReadAllOptions, ReadPageOptions,
    RecordedEvent, SubscribeOptions,
};

use super::{append, event, log, refused};
use crate::harness::{Backend, Room};
use crate::suite::{Case, Inserts};

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        a_query_has_at_most_64_items_and_1_000_values,
        a_sparse_query_is_read_by_indexes_or_looks_at_a_bounded_number_of_events: inserts Inserts::Thousands,
        queries_find_every_match_in_a_log_of_any_length: inserts Inserts::Thousands,
    ]
}

fn texts(texts: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    texts.into_iter().map(Into::into).collect()
}

async fn a_query_has_at_most_64_items_and_1_000_values(room: Room) {
    let store = room.store().await;
    append(&store, "stream-999", [event(1)]).await;
    let long = |values: usize| {
        let item = QueryItem { types: texts(["E"]), tags: texts(["t"]), ..QueryItem::default() };
        let streams = texts((4..values).map(|number| format!("stream-{number}")));
        Query { items: vec![item, QueryItem { categories: texts(["c"]), streams, ..QueryItem::default() }] }
    };
    let page = async |query: Query| store.read_page(ReadPageOptions { query, ..ReadPageOptions::default() }).await;
    page(long(1_001)).await.expect("1,000 values are accepted");
    let too_many = |what: &str, limit, actual| ErrorKind::LimitExceeded { what: what.to_owned(), limit, actual };
    let all = || ReadAllOptions { query: long(1_002), ..ReadAllOptions::default() };
    let refusals = [
        refused(page(long(1_002)).await),
        refused(store.read_all(all()).try_next().await),
        refused(store.subscribe(SubscribeOptions { query: long(1_002), ..Default::default() }).try_next().await),
    ];
    for error in refusals {
        assert_eq!(error.kind(), &too_many("query values", 1_000, 1_001));
    }
    let items = Query { items: vec![QueryItem { types: texts(["E"]), ..QueryItem::default() }; 65] };
    assert_eq!(refused(page(items).await).kind(), &too_many("query items", 64, 65));
}

/// The log has more events than a page looks at one by one, so a query that needs a second page has scanned.
async fn a_sparse_query_is_read_by_indexes_or_looks_at_a_bounded_number_of_events(room: Room) {
    const APPENDS: u64 = 4;
    const EVENTS: u64 = 6_000;
    let store = room.store().await;
    let rare = || event(1).with_tags(["often", "rarely"]);
    append(&store, "rare-1", [rare()]).await;
    for part in 0..APPENDS {
        let often: Vec<Event> = (0..EVENTS).map(|number| event(number).with_tags(["often"])).collect();
        append(&store, &format!("often-{part}"), often).await;
    }
    let last = append(&store, "rare-1", [rare()]).await;
    finds_without_an_index(&store, last.position).await;
    let item = QueryItem::default;
    let many = texts((1..900).map(|number| format!("rare-{number}")));
    let queries: [Query; 5] = [
        QueryItem { streams: many.clone(), ..item() }.into(),
        QueryItem { tags: texts(["often", "rarely"]), ..item() }.into(),
        QueryItem { tags: texts(["often"]), streams: texts(["rare-1", "rare-2"]), ..item() }.into(),
        QueryItem { tags: texts(["rarely"]), streams: many.clone(), categories: texts(["rare"]), ..item() }.into(),
        Query {
            items: vec![
                QueryItem { streams: many, types: texts(["E", "F"]), ..item() },
                QueryItem { tags: texts(["rarely", "never"]), ..item() },
            ],
        },
    ];
    for query in queries {
        let options = ReadPageOptions { query: query.clone(), ..ReadPageOptions::default() };
        let page = store.read_page(options).await.expect("the page is read");
        let found: Vec<(&str, u64)> = page.events.iter().map(|event| (event.stream.as_str(), event.version)).collect();
        assert_eq!(found, [("rare-1", 1), ("rare-1", 2)], "{} items", query.items.len());
        assert_eq!(
            (page.caught_up, page.reached),
            (true, last.position),
            "one page is enough: {:?}",
            query.items[0].tags
        );
        let direction = Direction::Backward;
        let backward = ReadAllOptions { query, direction, limit: Some(1), ..ReadAllOptions::default() };
        let newest: Vec<RecordedEvent> = store.read_all(backward).try_collect().await.expect("the log is read");
        assert_eq!(newest.first().map(|event| event.position), Some(last.position));
    }
}

/// There is no index on types and categories.
async fn finds_without_an_index(store: &EventStore, last: u64) {
    let item = QueryItem { types: texts(["E"]), categories: texts(["rare"]), ..QueryItem::default() };
    let (mut after, mut found, mut pages) = (0, Vec::new(), 0);
    loop {
        let options = ReadPageOptions { after, query: item.clone().into(), ..ReadPageOptions::default() };
        let page = store.read_page(options).await.expect("the page is read");
        assert!(page.caught_up || page.reached > after, "a page moves its cursor");
        (after, pages) = (page.reached, pages + 1);
        found.extend(page.events.into_iter().map(|event| event.version));
        if page.caught_up {
            break;
        }
    }
    assert_eq!((found, after), (vec![1, 2], last));
    assert!((2..=4).contains(&pages), "{pages} pages");
    let all = ReadAllOptions { query: item.into(), ..ReadAllOptions::default() };
    let read: Vec<RecordedEvent> = store.read_all(all).try_collect().await.expect("the log is read");
    assert_eq!(read.iter().map(|event| event.version).collect::<Vec<_>>(), [1, 2]);
}

/// A log long enough for indexes to be used. Its streams and tags have very different sizes, so that every limit is
/// met.
async fn long_log(store: &EventStore, events: usize, random: &mut fastrand::Rng) -> Vec<RecordedEvent> {
    let event = |random: &mut fastrand::Rng| {
        // Half of the events are in a few streams, the others in many.
        let stream = match random.u32(..4) {
            0 => "hot-1".to_owned(),
            1 => format!("warm-{}", random.u32(..8)),
            _ => format!("cold-{}", random.u32(..400)),
        };
        let tags = ["often", "seldom", "rarely"].into_iter().zip([2, 40, 2_000]);
        let tags = texts(tags.filter(|(_, one_in)| random.u32(..*one_in) == 0).map(|(tag, _)| tag));
        let event_type = *random.choice(&["A", "A", "A", "B", "C"]).expect("the list is not empty");
        let event = Event::json_text(event_type, "1").with_tags(tags);
        ImportEvent { stream, version: None, recorded_at: None, event }
    };
    let events: Vec<ImportEvent> = (0..events).map(|_| event(random)).collect();
    store.import_events(events).await.expect("the import commits");
    log(store).await
}

fn some_query(random: &mut fastrand::Rng) -> Query {
    fn some(random: &mut fastrand::Rng, most: usize, names: &[&str]) -> Vec<String> {
        let count = random.usize(..=most);
        let mut names = names.to_vec();
        random.shuffle(&mut names);
        texts(names.into_iter().take(count))
    }
    let item = |random: &mut fastrand::Rng| {
        let streams = match random.u32(..6) {
            0 => texts(["hot-1", "cold-7"]),
            1 => texts((0..random.u32(1..350)).map(|number| format!("cold-{}", number * 2))),
            2 => texts((0..random.u32(1..90)).map(|number| format!("warm-{number}"))),
            3 => texts(["hot-1"].into_iter().map(str::to_owned).chain((0..40).map(|number| format!("cold-{number}")))),
            _ => Vec::new(),
        };
        let tags = if streams.is_empty() || random.u32(..4) == 0 {
            some(random, 2, &["often", "seldom", "rarely", "never"])
        } else {
            Vec::new()
        };
        let types = if random.u32(..3) == 0 { some(random, 2, &["A", "B", "C"]) } else { Vec::new() };
        let categories = if random.u32(..5) == 0 { some(random, 2, &["hot", "warm", "cold"]) } else { Vec::new() };
        QueryItem { types, tags, categories, streams }
    };
    Query { items: (0..random.usize(1..=3)).map(|_| item(random)).collect() }
}

/// Whichever plan a page uses, it has the events that the matcher accepts, in order, and cursors reach the end.
async fn queries_find_every_match_in_a_log_of_any_length(room: Room) {
    let (events, rounds) = if room.backend() == Backend::Mongodb { (2_600, 3) } else { (8_000, 20) };
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let store = room.store().await;
    let log = long_log(&store, events, &mut random).await;
    let last = log.last().map_or(0, |event| event.position);
    for round in 0..rounds {
        let query = some_query(&mut random);
        let about = format!("seed {seed}, round {round}: {query:?}");
        let (after, before) = (random.u64(..last), (random.bool()).then(|| random.u64(last / 2..last + 2)));
        let after = if random.bool() { 0 } else { after };
        let matching = |event: &&RecordedEvent| event.position > after && query.matches(event);
        let limit = [None, Some(1), Some(70), Some(999)][random.usize(..4)];
        let mut cursor = after;
        let mut found = Vec::new();
        loop {
            let options = ReadPageOptions { after: cursor, query: query.clone(), limit, timeout: None };
            let page = store.read_page(options).await.expect("the page is read");
            assert!(page.caught_up || page.reached > cursor, "a page moves its cursor, {about}");
            assert!(page.reached == cursor || log.iter().any(|event| event.position == page.reached), "{about}");
            assert!(page.events.iter().all(|event| event.position <= page.reached), "{about}");
            found.extend(page.events.into_iter().map(|event| event.position));
            cursor = page.reached;
            if page.caught_up {
                break;
            }
            if limit == Some(1) && found.len() > 20 {
                break;
            }
        }
        let mut expected: Vec<u64> = log.iter().filter(matching).map(|event| event.position).collect();
        if limit == Some(1) {
            expected.truncate(found.len());
        }
        assert!(found == expected, "{} found, {} expected, {about}", found.len(), expected.len());
        for direction in [Direction::Forward, Direction::Backward] {
            let limit = random.bool().then(|| random.u64(1..1_200));
            let options = ReadAllOptions { after, before, query: query.clone(), direction, limit, timeout: None };
            let read: Vec<RecordedEvent> = store.read_all(options).try_collect().await.expect("the log is read");
            let bounded =
                log.iter().filter(matching).filter(|event| before.is_none_or(|before| event.position < before));
            let mut expected: Vec<&RecordedEvent> = bounded.collect();
            if direction == Direction::Backward {
                expected.reverse();
            }
            expected.truncate(limit.map_or(usize::MAX, |limit| limit as usize));
            assert!(read.iter().eq(expected.iter().copied()), "{direction:?}, {after}, {before:?}, {limit:?}, {about}");
        }
    }
}
