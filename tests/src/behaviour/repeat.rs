//! Rule 4: a retry is safe with every expected version.

use streamkeep::{ErrorKind, Event, EventStore, ExpectedVersion, Outcome, new_id};

use super::{all_at_once, append, event, events, log, refused};
use crate::harness::Room;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        a_repeated_append_returns_the_first_answer_whatever_it_expects,
        a_part_of_a_known_append_is_a_repeat,
        a_repeat_is_recognised_by_its_values_not_by_its_text,
        a_known_id_with_other_content_is_a_duplicate,
        a_known_id_in_another_stream_or_order_is_a_duplicate,
        some_known_ids_among_new_ones_are_a_duplicate,
        an_id_twice_in_one_append_is_refused,
        of_racing_repeats_one_writes_and_all_get_its_answer,
        a_repeated_import_passes_over_known_events,
    ]
}

async fn a_repeated_append_returns_the_first_answer_whatever_it_expects(room: Room) {
    let store = room.store().await;
    let placed = events(3);
    let first = store.append("s", placed.clone(), ExpectedVersion::NoStream).await.expect("the first append commits");
    append(&store, "s", [event("\"later\"")]).await;
    assert!(!first.repeated);
    for expected in
        [ExpectedVersion::Any, ExpectedVersion::NoStream, ExpectedVersion::StreamExists, 0.into(), 3.into(), 99.into()]
    {
        let again = store.append("s", placed.clone(), expected).await.expect("the repeat succeeds");
        assert_eq!(
            (again.version, again.position, again.repeated),
            (first.version, first.position, true),
            "expecting {expected}"
        );
    }
    assert_eq!(log(&store).await.len(), 4);
}

async fn a_part_of_a_known_append_is_a_repeat(room: Room) {
    let store = room.store().await;
    let placed = events(3);
    append(&store, "s", placed.clone()).await;
    let again = append(&store, "s", placed[..2].to_vec()).await;
    assert_eq!((again.version, again.repeated), (2, true));
}

fn described(id: uuid::Uuid, data: &str, metadata: &str, tags: [&str; 2]) -> Event {
    Event::json_text("E", data).with_id(id).with_metadata(metadata).with_tags(tags).with_schema("e/1")
}

async fn a_repeat_is_recognised_by_its_values_not_by_its_text(room: Room) {
    let store = room.store().await;
    let id = new_id();
    append(&store, "s", [described(id, r#"{"a":1.0,"b":[]}"#, r#"{"x":1,"y":2}"#, ["one", "two"])]).await;
    let again =
        append(&store, "s", [described(id, r#" {"b":[ ],"a":1} "#, r#"{"y":2,"x":10e-1}"#, ["two", "one"])]).await;
    assert!(again.repeated);
    let recorded = log(&store).await;
    assert_eq!(recorded[0].data.as_json(), Some(r#"{"a":1.0,"b":[]}"#), "the first content stays");
}

async fn a_known_id_with_other_content_is_a_duplicate(room: Room) {
    let store = room.store().await;
    let first = event(1);
    let id = first.id;
    append(&store, "s", [first.clone()]).await;
    let others = [
        event(2).with_id(id),
        Event::json_text("F", "1").with_id(id),
        Event::bytes("E", *b"1").with_id(id),
        first.clone().with_metadata(r#"{"a":1}"#),
        first.clone().with_tags(["t"]),
        first.clone().with_schema("e/1"),
    ];
    for other in others {
        let error = refused(store.append("s", [other], ExpectedVersion::Any).await);
        assert_eq!(error.kind(), &ErrorKind::DuplicateEvent { id, stream: "s".to_owned(), version: 1 });
        assert_eq!((error.ids(), error.outcome()), (&[id][..], Outcome::NotApplied));
    }
    assert_eq!(log(&store).await.len(), 1);
}

async fn a_known_id_in_another_stream_or_order_is_a_duplicate(room: Room) {
    let store = room.store().await;
    let placed = events(2);
    append(&store, "s", placed.clone()).await;
    let turned = vec![placed[1].clone(), placed[0].clone()];
    for (stream, events) in [("t", placed.clone()), ("s", turned)] {
        let error = refused(store.append(stream, events, ExpectedVersion::Any).await);
        assert!(matches!(error.kind(), ErrorKind::DuplicateEvent { stream, .. } if stream == "s"), "{error:?}");
    }
    assert_eq!(log(&store).await.len(), 2);
}

async fn some_known_ids_among_new_ones_are_a_duplicate(room: Room) {
    let store = room.store().await;
    let known = event(1);
    append(&store, "s", [known.clone()]).await;
    for mixed in [vec![known.clone(), event(2)], vec![event(2), known.clone()]] {
        let error = refused(store.append("s", mixed, ExpectedVersion::Any).await);
        assert_eq!(error.kind(), &ErrorKind::DuplicateEvent { id: known.id, stream: "s".to_owned(), version: 1 });
    }
    assert_eq!(log(&store).await.len(), 1);
}

async fn an_id_twice_in_one_append_is_refused(room: Room) {
    let store = room.store().await;
    let twice = event(1);
    let error = refused(store.append("s", [twice.clone(), twice], ExpectedVersion::Any).await);
    assert_eq!(error.code(), "invalid-argument");
    assert!(log(&store).await.is_empty());
}

async fn of_racing_repeats_one_writes_and_all_get_its_answer(room: Room) {
    let stores: Vec<EventStore> = vec![room.store().await, room.store().await];
    for round in 0..10_u64 {
        let placed = events(2);
        let expected = if round % 2 == 0 { ExpectedVersion::Any } else { (round * 2).into() };
        let work = (0..8).map(|caller| (stores[caller % 2].clone(), placed.clone()));
        let answers =
            all_at_once(work.map(|(store, events)| async move { store.append("s", events, expected).await })).await;
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("each repeat succeeds")).collect();
        assert_eq!(answers.iter().filter(|done| !done.repeated).count(), 1, "{answers:?}");
        assert!(
            answers.iter().all(|done| (done.version, done.position) == (answers[0].version, answers[0].position)),
            "{answers:?}"
        );
    }
    assert_eq!(log(&stores[0]).await.len(), 20);
}

async fn a_repeated_import_passes_over_known_events(room: Room) {
    let store = room.store().await;
    let import = |version: u64| streamkeep::ImportEvent {
        stream: "s".to_owned(),
        version: Some(version),
        recorded_at: None,
        event: event(version),
    };
    let all: Vec<_> = (1..=1_200).map(import).collect();
    store.import_events(all[..700].to_vec()).await.expect("the first part is imported");
    let resumed = store.import_events(all.clone()).await.expect("the whole import commits");
    assert_eq!((resumed.imported, resumed.passed_over), (500, 700));
    let again = store.import_events(all.clone()).await.expect("the repeated import succeeds");
    assert_eq!((again.imported, again.passed_over, again.position), (0, 1_200, resumed.position));
    let mut other = all[5].clone();
    other.event = Event::json_text("E", "\"other\"").with_id(other.event.id);
    assert_eq!(refused(store.import_events([other]).await).code(), "duplicate-event");
}
