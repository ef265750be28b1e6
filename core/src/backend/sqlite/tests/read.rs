//! Pages of streams and of the log, and the indexes that they use.

use super::*;

#[tokio::test]
async fn a_page_of_any_query_has_what_the_matcher_says_in_both_directions() {
    let folder = Folder::new();
    let store = EventStore::open(folder.url()).await.unwrap();
    let import = |n: u64| {
        let tags: Vec<String> =
            [3_u64, 7, 1_000].iter().filter(|by| n.is_multiple_of(**by)).map(|by| format!("by:{by}")).collect();
        let event = Event::json_text(format!("Type{}", n % 5), "{}").with_tags(tags);
        ImportEvent { stream: format!("cat{}-{}", n % 2, n % 11), version: None, recorded_at: None, event }
    };
    store.import_events((1..=7_000).map(import)).await.unwrap();
    let all: Vec<RecordedEvent> = store.read_all(ReadAllOptions::default()).try_collect().await.unwrap();
    assert_eq!(all.len(), 7_000);
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let item = |types: &[&str], tags: &[&str], categories: &[&str], streams: &[&str]| QueryItem {
        types: list(types),
        tags: list(tags),
        categories: list(categories),
        streams: list(streams),
    };
    let queries: Vec<Query> = vec![
        item(&["Type1", "Type3"], &[], &[], &[]).into(),
        item(&[], &["by:3", "by:7"], &[], &[]).into(),
        item(&["Type0"], &["by:1000"], &["cat0"], &[]).into(),
        item(&[], &[], &[], &["cat0-4", "cat1-9", "absent"]).into(),
        Query { items: vec![item(&[], &["by:1000"], &[], &[]), item(&["Type2"], &[], &[], &["cat1-3"])] },
        Query { items: vec![item(&[], &["by:1000"], &[], &[]), item(&["Type2"], &[], &["cat1"], &[])] },
        item(&[], &["none"], &[], &[]).into(),
    ];
    for query in queries {
        for (after, before) in [(0, None), (0, Some(6_500)), (1_234, None), (4_321, Some(6_999)), (6_990, None)] {
            let inside =
                |event: &&RecordedEvent| event.position > after && before.is_none_or(|before| event.position < before);
            let mut expected: Vec<u64> =
                all.iter().filter(inside).filter(|event| query.matches(event)).map(|event| event.position).collect();
            for direction in [Direction::Forward, Direction::Backward] {
                let options =
                    ReadAllOptions { after, before, query: query.clone(), direction, ..ReadAllOptions::default() };
                let found: Vec<RecordedEvent> = store.read_all(options).try_collect().await.unwrap();
                assert_eq!(
                    found.iter().map(|event| event.position).collect::<Vec<_>>(),
                    expected,
                    "{query:?} {direction:?} after {after} before {before:?}"
                );
                expected.reverse();
            }
        }
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_page_says_how_far_it_looked() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let events =
        (0..10).map(|n| Event::bytes("Big", vec![n; 100_000]).with_metadata(format!("{{\"n\":{n}}}"))).collect();
    backend.append(&[request("s", ExpectedVersion::Any, events)]).await.pop().unwrap().unwrap();
    let ask = |after, max_events, types: &[&str]| {
        let item = QueryItem { types: types.iter().map(|name| (*name).to_owned()).collect(), ..QueryItem::default() };
        let query = Arc::new(Query::from(item));
        LogPageRequest {
            after,
            before: None,
            query,
            direction: Direction::Forward,
            max_events,
            max_bytes: 250_000,
            deadline: soon(),
        }
    };
    let mut answers = Vec::new();
    for request in [
        ask(0, 100, &[]),
        ask(8, 2, &[]),
        ask(8, 1, &[]),
        ask(10, 9, &[]),
        ask(99, 9, &[]),
        ask(0, 9, &["Small"]),
        ask(0, 9, &["Big"]),
        ask(9, 9, &["Big"]),
    ] {
        let page = backend.read_log(&request).await.unwrap();
        for event in &page.events {
            let n = u8::try_from(event.position - 1).unwrap();
            assert_eq!(
                (event.data.as_bytes(), event.metadata.as_str()),
                (&[n; 100_000][..], format!("{{\"n\":{n}}}").as_str()),
                "long content comes too"
            );
        }
        answers.push((page.events.len(), page.reached, page.caught_up, page.drawn));
    }
    let expected = [
        (2, 2, false, None),
        (2, 10, true, None),
        (1, 9, false, None),
        (0, 10, true, Some(10)),
        (0, 99, true, Some(10)),
        (0, 10, true, Some(10)),
        (2, 2, false, Some(10)),
        (1, 10, true, Some(10)),
    ];
    assert_eq!(answers, expected);
    backend.close().await;
}

#[tokio::test]
async fn events_written_in_any_form_are_read_unchanged() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let mut position = 0;
    for (form, count) in [("one", 1_usize), ("run", 9), ("run", 128), ("group", 129), ("group", 1_500), ("tagged", 3)] {
        let stream = format!("{form} {count}-\u{e9}");
        let events: Vec<Event> = (0..count)
            .map(|n| if form == "tagged" { varied(n).with_tags(["b \"", "a", "\u{2028}"]) } else { varied(n) })
            .collect();
        let answer = backend
            .append(&[request(&stream, ExpectedVersion::NoStream, events.clone())])
            .await
            .pop()
            .unwrap()
            .unwrap();
        let before = position;
        position += count as u64;
        assert_eq!((answer.version, answer.position, answer.repeated), (count as u64, position, false), "{stream}");
        let read = backend.read_stream(&whole_stream(&stream)).await.unwrap();
        assert!(read.end && read.events.len() == count);
        for ((n, event), read) in (1_u64..).zip(&events).zip(&read.events) {
            assert_eq!((read.stream.as_str(), read.version, read.position), (stream.as_str(), n, before + n));
            assert_eq!(
                (read.id, &read.event_type, &read.data, &read.metadata),
                (event.id, &event.event_type, &event.data, &event.metadata),
                "{stream} {n}"
            );
            assert_eq!((&read.tags, &read.schema), (&event.tags, &event.schema));
        }
        let again = backend
            .append(&[request(&stream, ExpectedVersion::NoStream, events.clone())])
            .await
            .pop()
            .unwrap()
            .unwrap();
        assert!(again.repeated && again.position == position, "{stream}");
        let late: Vec<Event> = events.into_iter().map(|event| event.with_id(Uuid::now_v7())).collect();
        for expected in [
            ExpectedVersion::NoStream,
            ExpectedVersion::Exact(count as u64 + 1),
            ExpectedVersion::Exact(count as u64 - 1),
        ] {
            let refused = backend.append(&[request(&stream, expected, late.clone())]).await.pop().unwrap().unwrap_err();
            assert!(
                matches!(refused.kind(), ErrorKind::Conflict { actual, .. } if *actual == count as u64),
                "{refused}"
            );
        }
    }
    backend.close().await;
}

/// Events with everything that an encoding could lose.
fn varied(n: usize) -> Event {
    let data = format!("{{ \"n\": {n}.0, \"\u{1f980}\": \"\\u0000\" }}\n");
    let mut event = Event::json_text("Typ\u{e9} 1", data).with_metadata(" {\"a\" : \"\u{df}\"}").with_schema("s|1 ");
    match n % 4 {
        0 => event.data = Payload::Bytes(vec![0, 255, 10, 32]),
        1 => event.data = Payload::Bytes(Vec::new()),
        2 => event.metadata = "{}".to_owned(),
        _ => event.schema = None,
    }
    event
}

fn whole_stream(stream: &str) -> StreamPageRequest {
    StreamPageRequest {
        stream: stream.to_owned(),
        from_version: 1,
        to_version: u64::MAX,
        direction: Direction::Forward,
        max_events: usize::MAX,
        max_bytes: usize::MAX,
        deadline: soon(),
    }
}

#[tokio::test]
async fn statements_search_by_an_index() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    let mut lease = backend.file.readers.lease(soon()).await.unwrap();
    let sql = &backend.sql;
    for text in [
        &sql.append_one,
        &sql.by_id,
        &sql.content,
        &sql.stream_forward,
        &sql.stream_backward,
        &sql.log_forward,
        &sql.log_backward,
        &sql.head,
        &sql.load_snapshot,
    ] {
        let explained = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}")))
            .fetch_all(&mut lease.connection)
            .await
            .unwrap();
        let steps: Vec<String> = explained.iter().map(|row| row.get(3)).collect();
        let walks = |step: &String| step.starts_with("SCAN streamkeep") || step.contains("TEMP B-TREE");
        assert!(!steps.iter().any(walks), "{text}: {steps:?}");
    }
    lease.give_back();
    backend.close().await;
}
