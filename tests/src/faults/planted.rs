//! Planted bugs: each removes one line of core's mechanism, and the case that protects it must fail for that reason.

use libtest_mimic::{Completion, Failed, Trial};
use streamkeep_tests::harness::Backend;
use streamkeep_tests::two_sessions::CAUGHT_BY;

use super::process::run_case;

/// How many events a storm writes when a bug is planted: enough to make it fail.
const STORM_EVENTS: u64 = 6_000;
/// How many storms may pass with a planted bug before it counts as not found.
const STORMS: u32 = 3;

/// A bug, the case that must fail with it, and a part of the expected failure.
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
    bug(
        "queue-keeps-streams",
        Backend::Memory,
        "cancel::an_append_dropped_at_any_poll_is_whole_or_absent",
        "no end within",
    ),
    bug("queue-drops-sent", Backend::Memory, "failpoints::append_dropped_at_queue-before-send", "did not run on"),
    bug("queue-denies-sent", Backend::Memory, "failpoints::deadline_passes_at_queue-before-answer", "refused: "),
    bug(
        "import-denies-sent",
        Backend::Memory,
        "failpoints::import_deadline_passes_at_import-before-answer",
        "refused: ",
    ),
    bug("reader-skips-page-end", Backend::Memory, "follow::pages_join_without_a_gap", "were read"),
    bug("reader-runs-on", Backend::Memory, "failpoints::a_dropped_scan_ends_with_its_page", "pages more"),
    bug("subscription-skips-page-end", Backend::Memory, "follow::pages_join_without_a_gap", "were given"),
    bug(
        "subscription-trusts-hints",
        Backend::Memory,
        "follow::polling_finds_the_write_of_another_store",
        "no end within",
    ),
    bug(
        "subscription-trusts-hints",
        Backend::Sqlite,
        "follow::polling_finds_the_write_of_another_store",
        "no end within",
    ),
    bug(
        "subscription-trusts-hints",
        Backend::Postgres,
        "follow::polling_finds_the_write_of_another_store",
        "no end within",
    ),
    bug(
        "subscription-listens-late",
        Backend::Sqlite,
        "failpoints::a_write_between_page_and_wait_wakes_the_subscriber",
        "no end within",
    ),
    bug(
        "sqlite-ack-before-commit",
        Backend::Sqlite,
        "cancel::an_append_dropped_at_any_poll_is_whole_or_absent",
        "answer: ",
    ),
    bug("sqlite-no-unique", Backend::Sqlite, "storm", "expected version: "),
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
        "failpoints::an_append_to_a_file_removed_before_the_commit_is_not_acknowledged",
        "acknowledged: ",
    ),
    bug("sqlite-joint-mixes-answers", Backend::Sqlite, "namespaces::a_storm_over_four_of_them", "answer: "),
    bug(
        "sqlite-connection-returned",
        Backend::Sqlite,
        "namespaces::a_deadline_passes_in_a_joint_transaction",
        "cannot start a transaction within a transaction",
    ),
    bug(
        "sqlite-file-unchecked",
        Backend::Sqlite,
        "namespaces::a_file_is_removed_in_a_joint_transaction",
        "acknowledged: ",
    ),
    bug("postgres-naive-reader", Backend::Postgres, "storm", "missed: "),
    bug("postgres-one-snapshot-reader", Backend::Postgres, "failpoints::a_page_is_read_after_the_horizon", "missed: "),
    bug("postgres-check-after-draw", Backend::Postgres, "storm", "order: "),
    bug("postgres-no-unique", Backend::Postgres, "storm", "order: "),
    bug(
        "postgres-connection-returned",
        Backend::Postgres,
        "cuts::a_call_to_a_silent_server_ends_at_its_deadline",
        "no end within",
    ),
    bug(
        "postgres-refusal-too-early",
        Backend::Postgres,
        "cuts::a_refusal_waits_until_no_attempt_can_still_commit",
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
    bug(
        "mongodb-ack-before-commit",
        Backend::Mongodb,
        "cancel::an_append_dropped_at_any_poll_is_whole_or_absent",
        "answer: ",
    ),
    bug("mongodb-refuses-unlooked", Backend::Mongodb, "storm", "refused: "),
    bug(
        "mongodb-waits-for-the-dead",
        Backend::Mongodb,
        "dead::appends_do_not_wait_for_a_writer_that_died_in_its_transaction",
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
        "hints::a_lost_change_stream_is_opened_again_with_pauses",
        "the change stream was opened 0 times",
    ),
    bug(
        "mongodb-watches-hastily",
        Backend::Mongodb,
        "hints::a_lost_change_stream_is_opened_again_with_pauses",
        "the change stream was opened",
    ),
    bug("subscription-trusts-hints", Backend::Mongodb, "hints::polling_works_without_change_streams", "no end within"),
    bug(
        "mongodb-trusts-the-url",
        Backend::Mongodb,
        "concerns::commands_carry_the_concerns_that_the_store_needs",
        "reads with concern 'local'",
    ),
    bug(
        "mongodb-primaries-never-change",
        Backend::Mongodb,
        "primaries::calls_that_a_former_primary_refuses_are_retried",
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
        "commits::a_commit_with_an_unknown_result_is_sent_again",
        "an append returned",
    ),
    bug(
        "mongodb-runs-unknown-again",
        Backend::Mongodb,
        "commits::a_commit_with_an_unknown_result_is_sent_again",
        "an append returned",
    ),
    bug(
        "mongodb-forgets-doubt",
        Backend::Mongodb,
        "commits::an_append_is_unknown_until_a_committed_look_for_its_ids",
        "and the append returned",
    ),
    bug("mongodb-hurries", Backend::Mongodb, "commits::a_refusal_of_every_attempt_ends_at_the_deadline", "was tried"),
    bug(
        "mongodb-takes-any-server",
        Backend::Mongodb,
        "opening::a_standalone_server_is_refused_with_the_remedy",
        "was opened",
    ),
    bug(
        "mongodb-checks-no-server",
        Backend::Mongodb,
        "lookalikes::a_server_that_keeps_aborted_writes_is_refused",
        "was opened",
    ),
];

pub fn trials() -> Vec<Trial> {
    // A case of two sessions fails in an assertion, whatever its message.
    let two_sessions = CAUGHT_BY.iter().map(|(name, case)| bug(name, Backend::Postgres, case, "panicked"));
    BUGS.iter()
        .copied()
        .chain(two_sessions)
        .map(|bug| Trial::ignorable_test(format!("planted::{} [{}]", bug.name, bug.kind), move || fails_with(&bug)))
        .collect()
}

fn fails_with(bug: &Bug) -> Result<Completion, Failed> {
    if !cfg!(streamkeep_faults) {
        return Ok(Completion::ignored_with("built without STREAMKEEP_FAULTS=1: no bug can be planted"));
    }
    if let Some(reason) = bug.kind.missing() {
        return Ok(Completion::ignored_with(reason));
    }
    let case = format!("{} [{}]", bug.case, bug.kind);
    // A slow server's writers race as often with fewer events.
    let events = (STORM_EVENTS / u64::from(bug.kind.patience())).to_string();
    let run = || run_case(&case, bug.kind, &[("STREAMKEEP_PLANTED", bug.name), ("STREAMKEEP_STORM_EVENTS", &events)]);
    let mut result = run()?;
    // The races of a storm are random: the next storm may show what this one misses.
    for _ in 1..if bug.case == "storm" { STORMS } else { 1 } {
        if result.failed {
            break;
        }
        result = run()?;
    }
    if !result.failed {
        return Err(format!("with {} planted, {case} did not fail: {}", bug.name, result.output).into());
    }
    if !result.output.contains(bug.reason) {
        return Err(format!(
            "with {} planted, {case} failed, but not because of '{}': {}",
            bug.name, bug.reason, result.output
        )
        .into());
    }
    Ok(Completion::Completed)
}
