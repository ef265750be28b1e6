//! Rule 1: an append is all or nothing, with consecutive versions.

use streamkeep::{ErrorKind, Event, ExpectedVersion, ImportEvent, Payload};

use super::{append, data, event, events, log, refused, stream, versions};
use crate::harness::Room;
use crate::suite::{Case, Inserts};

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        an_append_of_several_events_gets_consecutive_versions,
        an_append_of_no_events_is_refused,
        an_append_with_one_bad_event_writes_none,
        an_append_of_10_000_events_commits_and_one_more_is_refused: inserts Inserts::Thousands,
        an_append_of_more_than_32_mib_is_refused,
        an_append_expecting_no_stream_conflicts_when_the_stream_exists,
        an_append_expecting_a_stream_conflicts_when_there_is_none,
        an_append_expecting_a_version_conflicts_above_and_below_it,
        a_refused_append_leaves_no_gap_in_the_versions,
        an_import_is_whole_or_absent_per_thousand_events,
        an_import_in_the_middle_of_a_stream_is_a_conflict,
    ]
}

async fn an_append_of_several_events_gets_consecutive_versions(room: Room) {
    let store = room.store().await;
    let first = append(&store, "s", events(3)).await;
    let second = append(&store, "s", events(2)).await;
    assert_eq!((first.version, second.version), (3, 5));
    let recorded = stream(&store, "s").await;
    assert_eq!(versions(&recorded), [1, 2, 3, 4, 5]);
    assert_eq!(data(&recorded), ["1", "2", "3", "1", "2"]);
    assert!(recorded.is_sorted_by(|a, b| a.position < b.position), "positions grow with versions");
    assert_eq!(
        (recorded[2].position, recorded[4].position),
        (first.position, second.position),
        "the answer is that of the last event"
    );
    assert!(recorded[..3].iter().all(|event| event.recorded_at == recorded[0].recorded_at), "one append has one time");
}

async fn an_append_of_no_events_is_refused(room: Room) {
    let store = room.store().await;
    let error = refused(store.append("s", [], ExpectedVersion::Any).await);
    assert_eq!(error.kind(), &ErrorKind::InvalidArgument { argument: "events".to_owned() });
}

async fn an_append_with_one_bad_event_writes_none(room: Room) {
    let store = room.store().await;
    for bad in [
        Event::json_text("E", "{"),
        Event::json_text("", "{}"),
        Event::json_text("$own", "{}"),
        event(1).with_metadata("[]"),
    ] {
        let error = refused(store.append("s", [event(1), bad, event(3)], ExpectedVersion::Any).await);
        assert_eq!(error.code(), "invalid-argument");
        assert_eq!(error.outcome(), streamkeep::Outcome::NotApplied);
    }
    assert!(log(&store).await.is_empty());
}

async fn an_append_of_10_000_events_commits_and_one_more_is_refused(room: Room) {
    let store = room.store().await;
    let error = refused(store.append("s", events(10_001), ExpectedVersion::Any).await);
    assert!(matches!(error.kind(), ErrorKind::LimitExceeded { limit: 10_000, actual: 10_001, .. }), "{error}");
    assert_eq!(append(&store, "s", events(10_000)).await.version, 10_000);
    assert_eq!(stream(&store, "s").await.len(), 10_000);
}

async fn an_append_of_more_than_32_mib_is_refused(room: Room) {
    let store = room.store().await;
    let large = || Event::bytes("E", vec![0; 7 << 20]);
    let error = refused(store.append("s", (0..5).map(|_| large()), ExpectedVersion::Any).await);
    assert!(matches!(error.kind(), ErrorKind::LimitExceeded { limit: 33_554_432, .. }), "{error}");
    assert!(stream(&store, "s").await.is_empty());
    let error = refused(
        store.append("s", [Event::new("E", Payload::Bytes(vec![0; (8 << 20) + 1]))], ExpectedVersion::Any).await,
    );
    assert!(matches!(error.kind(), ErrorKind::LimitExceeded { limit: 8_388_608, actual: 8_388_609, .. }), "{error}");
}

async fn an_append_expecting_no_stream_conflicts_when_the_stream_exists(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(2)).await;
    for expected in [ExpectedVersion::NoStream, ExpectedVersion::Exact(0)] {
        let error = refused(store.append("s", [event(1)], expected).await);
        assert_eq!(error.kind(), &ErrorKind::Conflict { stream: "s".to_owned(), expected, actual: 2 });
        store.append(format!("new-{expected}"), [event(1)], expected).await.expect("the append commits");
    }
}

async fn an_append_expecting_a_stream_conflicts_when_there_is_none(room: Room) {
    let store = room.store().await;
    let error = refused(store.append("s", [event(1)], ExpectedVersion::StreamExists).await);
    assert_eq!(
        error.kind(),
        &ErrorKind::Conflict { stream: "s".to_owned(), expected: ExpectedVersion::StreamExists, actual: 0 }
    );
    append(&store, "s", [event(1)]).await;
    assert_eq!(
        store.append("s", [event(2)], ExpectedVersion::StreamExists).await.expect("the append commits").version,
        2
    );
}

async fn an_append_expecting_a_version_conflicts_above_and_below_it(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(3)).await;
    for wrong in [1, 2, 4, 1_000_000, u64::MAX] {
        let error = refused(store.append("s", [event(1)], wrong).await);
        assert_eq!(error.kind(), &ErrorKind::Conflict { stream: "s".to_owned(), expected: wrong.into(), actual: 3 });
    }
    assert_eq!(store.append("s", [event(4)], 3).await.expect("the append commits").version, 4);
}

async fn a_refused_append_leaves_no_gap_in_the_versions(room: Room) {
    let store = room.store().await;
    for round in 0..5 {
        append(&store, "s", [event(round)]).await;
        refused(store.append("s", events(3), 99).await);
    }
    assert_eq!(versions(&stream(&store, "s").await), [1, 2, 3, 4, 5]);
}

fn import(version: u64) -> ImportEvent {
    ImportEvent { stream: "s".to_owned(), version: Some(version), recorded_at: None, event: event(version) }
}

async fn an_import_is_whole_or_absent_per_thousand_events(room: Room) {
    let store = room.store().await;
    // The second thousand has a gap, so only the first thousand is written.
    let with_a_gap = (1..=1_500).chain(1_502..=1_600).map(import);
    let error = refused(store.import_events(with_a_gap).await);
    assert_eq!(error.kind(), &ErrorKind::Conflict { stream: "s".to_owned(), expected: 1_501.into(), actual: 1_500 });
    assert_eq!(versions(&stream(&store, "s").await), (1..=1_000).collect::<Vec<_>>());
}

async fn an_import_in_the_middle_of_a_stream_is_a_conflict(room: Room) {
    let store = room.store().await;
    store.import_events((1..=3).map(import)).await.expect("the import commits");
    for wrong in [2, 3, 5] {
        let error = refused(store.import_events([import(wrong)]).await);
        assert_eq!(
            error.kind(),
            &ErrorKind::Conflict { stream: "s".to_owned(), expected: (wrong - 1).into(), actual: 3 }
        );
    }
    assert_eq!(store.import_events([import(4)]).await.expect("the import commits").imported, 1);
}
