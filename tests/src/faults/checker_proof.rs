//! Tests the checker on histories with one known fault each. A checker that finds nothing would pass every storm.

use libtest_mimic::{Failed, Trial};
use uuid::Uuid;

use super::checker::{Verdict, check_history};
use super::history::{Answer, Attempt, Expected, History, Received, Row};

type Plant = fn(&mut History, &mut Vec<Row>);

/// One planted fault, and what the checker must count: missed, duplicated, reordered, lost, untrue.
const PLANTS: &[(&str, Plant, [u64; 5])] = &[
    ("nothing", |_, _| {}, [0, 0, 0, 0, 0]),
    ("a_missed_event", |history, _| drop(history.received[0].rows.remove(2)), [1, 0, 0, 0, 0]),
    ("a_missed_last_event", |history, _| drop(history.received[0].rows.pop()), [1, 0, 0, 0, 0]),
    ("an_event_given_twice", |history, _| repeat(&mut history.received[0].rows, 2), [0, 1, 0, 0, 0]),
    ("two_events_in_the_wrong_order", |history, _| history.received[0].rows.swap(2, 3), [0, 0, 1, 0, 0]),
    ("an_event_that_was_rolled_back", |history, _| history.received[0].rows.push(row(99, "b", 9, 99)), [0, 0, 0, 0, 1]),
    ("another_event_at_a_position", |history, _| history.received[0].rows[1].id = Uuid::from_u128(77), [0, 0, 0, 0, 1]),
    ("a_late_subscriber_that_begins_too_late", |history, _| drop(history.received[1].rows.remove(0)), [1, 0, 0, 0, 0]),
    ("a_late_subscriber_that_begins_too_early", |history, log| history.received[1].rows = log.clone(), [0, 0, 0, 0, 1]),
    ("an_acknowledged_event_that_is_lost", |history, log| lose(history, log, 5), [0, 0, 0, 1, 1]),
    (
        "a_wrong_version_answered",
        |history, _| history.attempts[0].answer = Answer::Done { version: 3, position: Some(2) },
        [0, 0, 0, 0, 1],
    ),
    (
        "a_wrong_position_answered",
        |history, _| history.attempts[0].answer = Answer::Done { version: 2, position: Some(3) },
        [0, 0, 0, 0, 1],
    ),
    (
        "a_refused_append_that_is_in_the_log",
        |history, _| history.attempts[2].answer = Answer::Refused { actual: None },
        [0, 0, 0, 0, 1],
    ),
    (
        "a_conflict_where_the_expected_version_held",
        |history, _| history.attempts[3].answer = Answer::Refused { actual: Some(7) },
        [0, 0, 0, 0, 1],
    ),
    (
        "a_conflict_above_the_head",
        |history, _| history.attempts[3].answer = Answer::Refused { actual: Some(9) },
        [0, 0, 0, 0, 1],
    ),
    (
        "an_unknown_append_that_is_half_written",
        |history, _| history.attempts[1].ids.push(Uuid::from_u128(50)),
        [0, 0, 0, 0, 1],
    ),
    ("an_event_in_another_stream", |history, _| history.attempts[1].stream = "a".into(), [0, 0, 0, 0, 1]),
    ("an_event_that_no_caller_appended", |history, _| drop(history.attempts.remove(1)), [0, 0, 0, 0, 1]),
    (
        "an_expected_version_that_did_not_hold",
        |history, _| history.attempts[2].expected = Expected::NoStream,
        [0, 0, 0, 0, 1],
    ),
    ("a_gap_in_a_stream", |history, log| renumber(history, log, 4), [0, 0, 0, 0, 1]),
    ("a_stream_that_runs_backwards", |history, log| renumber(history, log, 2), [0, 0, 1, 0, 1]),
    ("an_id_twice_in_the_log", |history, log| double(history, log), [0, 1, 0, 0, 0]),
    ("a_head_that_goes_back", |history, _| history.heads = vec![vec![2, 1]], [0, 0, 1, 0, 0]),
    ("a_head_at_the_position_of_no_event", |history, _| history.heads = vec![vec![0, 3]], [0, 0, 0, 0, 1]),
    (
        "a_fault_seen_during_the_storm",
        |history, _| history.wrong.push("a writer did not see its own write".into()),
        [0, 0, 0, 0, 1],
    ),
];

pub fn trials() -> Vec<Trial> {
    let trial = |(name, plant, counts): &'static (&'static str, Plant, [u64; 5])| {
        Trial::test(format!("checker::finds_{name}"), move || check(*plant, *counts))
    };
    PLANTS.iter().map(trial).collect()
}

fn check(plant: Plant, counts: [u64; 5]) -> Result<(), Failed> {
    let (mut history, mut log) = sound();
    plant(&mut history, &mut log);
    let verdict = check_history(&history, &log);
    let Verdict { missed, duplicated, reordered, lost, untrue, .. } = &verdict;
    let counted = [*missed, *duplicated, *reordered, *lost, *untrue];
    let clean = counts.iter().sum::<u64>() == 0;
    if counted != counts || verdict.is_clean() != clean {
        Err(format!("counted {counted:?}, planted {counts:?}: {verdict}").into())
    } else {
        Ok(())
    }
}

fn row(position: u64, stream: &str, version: u64, id: u128) -> Row {
    Row { position, stream: stream.into(), version, id: Uuid::from_u128(id) }
}

/// A small history without faults: appends of two events and of one, one refused, two subscribers. Position 3 was
/// rolled back.
fn sound() -> (History, Vec<Row>) {
    let log = vec![row(1, "a", 1, 1), row(2, "a", 2, 2), row(4, "b", 1, 3), row(5, "a", 3, 4), row(6, "a", 4, 5)];
    let attempt = |stream: &str, expected, ids: &[u128], answer| Attempt {
        stream: stream.into(),
        expected,
        ids: ids.iter().copied().map(Uuid::from_u128).collect(),
        answer,
    };
    let attempts = vec![
        attempt("a", Expected::NoStream, &[1, 2], Answer::Done { version: 2, position: Some(2) }),
        attempt("b", Expected::Any, &[3], Answer::Unknown),
        attempt("a", Expected::Exact(2), &[4], Answer::Done { version: 3, position: None }),
        attempt("a", Expected::Exact(7), &[6], Answer::Refused { actual: Some(2) }),
        attempt("a", Expected::Exists, &[5], Answer::Done { version: 4, position: Some(6) }),
        attempt("b", Expected::Any, &[7, 8], Answer::Unknown),
    ];
    let received = vec![
        Received { name: "first".into(), start: (0, 0), rows: log.clone() },
        Received { name: "late".into(), start: (1, 2), rows: log[2..].to_vec() },
    ];
    (History { attempts, received, heads: vec![vec![0, 2, 2, 6]], wrong: Vec::new() }, log)
}

fn repeat(rows: &mut Vec<Row>, place: usize) {
    rows.insert(place + 1, rows[place].clone());
}

/// Removes an acknowledged event from the log and from every subscriber's list.
fn lose(history: &mut History, log: &mut Vec<Row>, id: u128) {
    let keep = |row: &Row| row.id != Uuid::from_u128(id);
    log.retain(keep);
    history.received.iter_mut().for_each(|received| received.rows.retain(keep));
    history.heads.clear();
}

/// Moves the last two events of `a` to versions 4 and 5, or swaps the versions of its first two; every answer agrees.
fn renumber(history: &mut History, log: &mut [Row], first: u64) {
    let change = |row: &mut Row| match row.position {
        5 if first == 4 => row.version = 4,
        6 if first == 4 => row.version = 5,
        2 if first == 2 => row.version = 1,
        1 if first == 2 => row.version = 2,
        _ => {}
    };
    log.iter_mut().for_each(change);
    history.received.iter_mut().flat_map(|received| &mut received.rows).for_each(change);
    if first == 4 {
        history.attempts[2].answer = Answer::Done { version: 4, position: None };
        history.attempts[2].expected = Expected::Exact(3);
        history.attempts[4].answer = Answer::Done { version: 5, position: Some(6) };
    } else {
        history.attempts[0].ids.reverse();
        history.attempts[0].answer = Answer::Done { version: 2, position: Some(1) };
    }
}

/// Repeats the last event of `a` in the log.
fn double(history: &mut History, log: &mut Vec<Row>) {
    let again = row(7, "a", 5, 5);
    log.push(again.clone());
    history.attempts[4].answer = Answer::Done { version: 5, position: Some(7) };
    history.received.iter_mut().for_each(|received| received.rows.push(again.clone()));
}
