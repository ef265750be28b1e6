//! Planted bugs: each takes out one line of the mechanism, and the case that guards it must turn red for that reason.

use libtest_mimic::{Completion, Failed, Trial};
use streamkeep_tests::harness::Backend;
use streamkeep_tests::two_sessions::REDDENED_BY;

use super::process::run_case;

/// How many events a storm writes when a bug is planted: enough to turn it red.
const STORM_EVENTS: u64 = 6_000;
/// How many storms a planted bug may pass before it counts as not seen.
const STORMS: u32 = 3;

/// A bug, the case that must turn red with it, and words of the reason.
#[derive(Clone, Copy)]
struct Bug {
    name: &'static str,
    kind: Backend,
    case: &'static str,
    reason: &'static str,
}

const fn bug(name: &'static str, kind: Backend, case: &'static str, reason: &'static str) -> Bug {
    Bug { name, kind, case, reason }
}

const BUGS: &[Bug] = &[
    bug("memory-forgets-ids", Backend::Memory, "storm", "id: the log has it twice"),
    bug("queue-mixes-answers", Backend::Memory, "storm", "answer: "),
    bug("queue-keeps-streams", Backend::Memory, "cancel::appends_dropped_at_every_poll", "no end within"),
    bug("queue-drops-sent", Backend::Memory, "failpoints::append_dropped_at_queue-before-send", "did not run on"),
    bug("queue-denies-sent", Backend::Memory, "failpoints::deadline_passes_at_queue-before-answer", "refused: "),
    bug("reader-skips-page-end", Backend::Memory, "follow::pages_join_without_a_gap", "were read"),
    bug("reader-runs-on", Backend::Memory, "failpoints::a_dropped_scan_ends_with_its_page", "pages more"),
    bug("subscription-skips-page-end", Backend::Memory, "follow::pages_join_without_a_gap", "were given"),
    bug(
        "subscription-trusts-hints",
        Backend::Memory,
        "follow::a_write_of_another_store_needs_no_hint",
        "no end within",
    ),
    bug(
        "subscription-trusts-hints",
        Backend::Sqlite,
        "follow::a_write_of_another_store_needs_no_hint",
        "no end within",
    ),
    bug(
        "subscription-trusts-hints",
        Backend::Postgres,
        "follow::a_write_of_another_store_needs_no_hint",
        "no end within",
    ),
    bug(
        "subscription-listens-late",
        Backend::Sqlite,
        "failpoints::a_write_between_page_and_wait_wakes_at_once",
        "no end within",
    ),
    bug("sqlite-ack-before-commit", Backend::Sqlite, "cancel::appends_dropped_at_every_poll", "answer: "),
    bug("sqlite-no-unique", Backend::Sqlite, "storm", "demand: "),
    bug("sqlite-reader-skips", Backend::Sqlite, "follow::pages_join_without_a_gap", "were read"),
    bug("sqlite-deferred-begin", Backend::Sqlite, "storm", "refused: "),
    bug(
        "sqlite-connection-returned",
        Backend::Sqlite,
        "failpoints::deadline_passes_at_sqlite-in-transaction",
        "cannot start a transaction within a transaction",
    ),
    bug(
        "sqlite-file-unchecked",
        Backend::Sqlite,
        "failpoints::a_file_removed_before_the_commit_is_not_acknowledged",
        "acknowledged: ",
    ),
    bug("postgres-naive-reader", Backend::Postgres, "storm", "missed: "),
    bug("postgres-one-snapshot-reader", Backend::Postgres, "failpoints::a_page_is_read_after_the_horizon", "missed: "),
    bug("postgres-check-after-draw", Backend::Postgres, "storm", "order: "),
    bug("postgres-no-unique", Backend::Postgres, "storm", "order: "),
    bug(
        "postgres-connection-returned",
        Backend::Postgres,
        "cuts::a_silent_server_is_left_at_the_deadline",
        "no end within",
    ),
    bug(
        "postgres-refusal-too-early",
        Backend::Postgres,
        "cuts::a_refusal_waits_for_what_may_still_arrive",
        "refused: ",
    ),
    bug(
        "queue-drops-sent",
        Backend::Postgres,
        "failpoints::append_dropped_at_postgres-append-before",
        "did not run on",
    ),
    bug("mongodb-turn-outside", Backend::Mongodb, "storm", "missed: "),
    bug("mongodb-reader-skips", Backend::Mongodb, "storm", "checkpoint-ahead: "),
    bug("mongodb-ack-before-commit", Backend::Mongodb, "cancel::appends_dropped_at_every_poll", "answer: "),
    bug("mongodb-refuses-unlooked", Backend::Mongodb, "storm", "refused: "),
    bug(
        "mongodb-waits-for-the-dead",
        Backend::Mongodb,
        "dead::a_writer_that_died_in_its_transaction_is_not_waited_for",
        "no end within",
    ),
    bug("queue-drops-sent", Backend::Mongodb, "failpoints::append_dropped_at_queue-before-send", "did not run on"),
    bug(
        "mongodb-deaf",
        Backend::Mongodb,
        "hints::a_write_of_another_store_arrives_long_before_the_poll",
        "no end within",
    ),
    bug(
        "mongodb-watches-once",
        Backend::Mongodb,
        "hints::a_lost_change_stream_is_begun_anew_without_haste",
        "the change stream was begun 0 times",
    ),
    bug(
        "mongodb-watches-hastily",
        Backend::Mongodb,
        "hints::a_lost_change_stream_is_begun_anew_without_haste",
        "the change stream was begun",
    ),
    bug("subscription-trusts-hints", Backend::Mongodb, "hints::polling_alone_is_enough", "no end within"),
    bug(
        "mongodb-trusts-the-url",
        Backend::Mongodb,
        "concerns::commands_carry_what_the_store_relies_on",
        "reads with concern 'local'",
    ),
    bug(
        "mongodb-primaries-never-change",
        Backend::Mongodb,
        "primaries::whatever_a_deposed_primary_refuses_comes_back",
        "was answered 10107",
    ),
    bug(
        "mongodb-head-of-another-session",
        Backend::Mongodb,
        "concerns::a_page_is_read_in_one_session",
        "need not be as new as its head",
    ),
    bug(
        "mongodb-commits-once",
        Backend::Mongodb,
        "commits::an_unknown_commit_is_asked_for_again",
        "an append was answered",
    ),
    bug(
        "mongodb-runs-unknown-again",
        Backend::Mongodb,
        "commits::an_unknown_commit_is_asked_for_again",
        "an append was answered",
    ),
    bug(
        "mongodb-forgets-doubt",
        Backend::Mongodb,
        "commits::an_append_stays_in_doubt_until_a_commit_has_looked_at_it",
        "and the append says",
    ),
    bug("mongodb-hurries", Backend::Mongodb, "commits::a_refusal_that_stays_ends_at_the_deadline", "was tried"),
    bug(
        "mongodb-takes-any-server",
        Backend::Mongodb,
        "opening::a_server_that_stands_alone_is_refused_with_the_remedy",
        "was opened",
    ),
];

pub fn trials() -> Vec<Trial> {
    // What two sessions play by hand: such a case fails where its claim stands, whatever the words.
    let by_hand = REDDENED_BY.iter().map(|(name, case)| bug(name, Backend::Postgres, case, "panicked"));
    BUGS.iter()
        .copied()
        .chain(by_hand)
        .map(|bug| Trial::ignorable_test(format!("planted::{} [{}]", bug.name, bug.kind), move || turns_red(&bug)))
        .collect()
}

fn turns_red(bug: &Bug) -> Result<Completion, Failed> {
    if !cfg!(streamkeep_faults) {
        return Ok(Completion::ignored_with("built without STREAMKEEP_FAULTS=1: no bug can be planted"));
    }
    if let Some(reason) = bug.kind.missing() {
        return Ok(Completion::ignored_with(reason));
    }
    let case = format!("{} [{}]", bug.case, bug.kind);
    // A slow server's writers meet as often by fewer.
    let events = (STORM_EVENTS / u64::from(bug.kind.patience())).to_string();
    let run = || run_case(&case, bug.kind, &[("STREAMKEEP_PLANTED", bug.name), ("STREAMKEEP_STORM_EVENTS", &events)]);
    let mut told = run()?;
    // A storm's races are random: one storm may miss what the next one meets.
    for _ in 1..if bug.case == "storm" { STORMS } else { 1 } {
        if told.failed {
            break;
        }
        told = run()?;
    }
    if !told.failed {
        return Err(format!("with {} planted, {case} did not turn red: {}", bug.name, told.output).into());
    }
    if !told.output.contains(bug.reason) {
        return Err(format!(
            "with {} planted, {case} turned red, but not because of '{}': {}",
            bug.name, bug.reason, told.output
        )
        .into());
    }
    Ok(Completion::Completed)
}
