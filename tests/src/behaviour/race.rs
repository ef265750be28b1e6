//! Rule 2: at most one event has a given stream and version.

use std::collections::HashSet;

use streamkeep::{ErrorKind, EventStore, ExpectedVersion, ImportEvent};

use super::{all_at_once, append, event, log, stream, versions};
use crate::harness::Room;
use crate::suite::Case;

const WRITERS: usize = 12;
const ROUNDS: u64 = 15;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        of_racing_writers_that_expect_the_same_version_one_wins,
        of_racing_writers_that_expect_no_stream_one_wins,
        an_append_without_an_expectation_never_conflicts_in_a_race,
        every_version_and_position_is_given_once,
        racing_imports_of_the_same_events_write_them_once,
    ]
}

/// Two handles, because the writers of one handle share their commits.
async fn writers(room: &Room) -> Vec<EventStore> {
    let (one, other) = (room.store().await, room.store().await);
    (0..WRITERS).map(|writer| if writer % 2 == 0 { one.clone() } else { other.clone() }).collect()
}

async fn race(
    writers: &[EventStore],
    name: &'static str,
    expected: ExpectedVersion,
) -> Vec<streamkeep::Result<streamkeep::AppendResult>> {
    all_at_once(
        writers
            .iter()
            .cloned()
            .enumerate()
            .map(|(writer, store)| async move { store.append(name, [event(writer)], expected).await }),
    )
    .await
}

/// One append commits, and each of the others fails with a conflict.
fn assert_one_won(answers: &[streamkeep::Result<streamkeep::AppendResult>], expected: ExpectedVersion, version: u64) {
    let won: Vec<_> = answers.iter().flatten().collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert_eq!(won[0].version, version);
    for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert!(
            matches!(error.kind(), ErrorKind::Conflict { expected: e, actual, .. } if *e == expected && *actual >= version),
            "{error:?}"
        );
    }
}

async fn of_racing_writers_that_expect_the_same_version_one_wins(room: Room) {
    let writers = writers(&room).await;
    append(&writers[0], "s", [event(0)]).await;
    for version in 1..ROUNDS {
        let expected = ExpectedVersion::Exact(version);
        assert_one_won(&race(&writers, "s", expected).await, expected, version + 1);
    }
    assert_eq!(versions(&stream(&writers[0], "s").await), (1..=ROUNDS).collect::<Vec<_>>());
}

async fn of_racing_writers_that_expect_no_stream_one_wins(room: Room) {
    let writers = writers(&room).await;
    for name in ["a", "b", "c", "d", "e"] {
        assert_one_won(&race(&writers, name, ExpectedVersion::NoStream).await, ExpectedVersion::NoStream, 1);
        assert_eq!(stream(&writers[1], name).await.len(), 1);
    }
}

async fn an_append_without_an_expectation_never_conflicts_in_a_race(room: Room) {
    let writers = writers(&room).await;
    let work = writers.iter().cloned().map(|store| async move {
        for round in 0..ROUNDS {
            append(&store, "s", [event(round), event(round)]).await;
        }
    });
    all_at_once(work).await;
    let expected = WRITERS as u64 * ROUNDS * 2;
    assert_eq!(versions(&stream(&writers[0], "s").await), (1..=expected).collect::<Vec<_>>());
}

async fn every_version_and_position_is_given_once(room: Room) {
    let writers = writers(&room).await;
    let work = writers.iter().cloned().enumerate().map(|(writer, store)| async move {
        let mut given = Vec::new();
        for round in 0..ROUNDS {
            let name = format!("s-{}", (writer as u64 + round) % 5);
            let done = append(&store, &name, [event(round)]).await;
            given.push((name, done.version, done.position));
        }
        given
    });
    let given: Vec<_> = all_at_once(work).await.concat();
    let places: HashSet<_> = given.iter().map(|(name, version, _)| (name, version)).collect();
    let positions: HashSet<_> = given.iter().map(|(_, _, position)| position).collect();
    assert_eq!((places.len(), positions.len()), (given.len(), given.len()));
    let recorded: HashSet<_> =
        log(&writers[0]).await.into_iter().map(|event| (event.stream, event.version, event.position)).collect();
    assert_eq!(recorded, given.into_iter().collect());
}

async fn racing_imports_of_the_same_events_write_them_once(room: Room) {
    let writers = writers(&room).await;
    let events: Vec<ImportEvent> = (1..=50)
        .map(|version| ImportEvent {
            stream: "s".to_owned(),
            version: Some(version),
            recorded_at: None,
            event: event(version),
        })
        .collect();
    let answers = all_at_once(writers.iter().take(6).cloned().map(|store| {
        let events = events.clone();
        async move { store.import_events(events).await }
    }));
    let answers: Vec<_> = answers.await.into_iter().map(|answer| answer.expect("each import succeeds")).collect();
    assert_eq!(answers.iter().map(|done| done.imported).sum::<u64>(), 50);
    assert!(answers.iter().all(|done| done.imported + done.passed_over == 50), "{answers:?}");
    assert_eq!(versions(&stream(&writers[0], "s").await), (1..=50).collect::<Vec<_>>());
}
