//! The suite of faults: storms, cut connections, cancelled calls, and planted bugs that must make those cases fail.
//!
//! `STREAMKEEP_FAULTS=1 cargo test --release -p streamkeep-tests --test faults` compiles planted bugs and failpoints
//! in.

#[cfg(streamkeep_faults)]
mod attempts;
mod cancel;
mod checker;
mod checker_proof;
mod cuts;
mod dead;
#[cfg(streamkeep_faults)]
mod failpoints;
mod follow;
mod ground;
mod history;
#[cfg(streamkeep_faults)]
mod imports;
mod namespaces;
mod planted;
mod polls;
mod process;
mod proxy;
mod scripted;
mod setback;
mod storm;
mod transactions;
mod wire;
mod writers;

use std::process::ExitCode;

use libtest_mimic::Arguments;
#[cfg(streamkeep_faults)]
use libtest_mimic::Trial;
use streamkeep_tests::harness::{BACKENDS, stop_servers};
#[cfg(streamkeep_faults)]
use streamkeep_tests::rules::check_faults;
use streamkeep_tests::two_sessions;

/// One case keeps the machine busy.
const THREADS: usize = 2;

fn main() -> ExitCode {
    if let Some(played) = process::play() {
        return played.map_or_else(
            |wrong| {
                eprintln!("{}", wrong.message().unwrap_or_default());
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        );
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let mut trials = Vec::new();
    trials.extend(storm::trials());
    trials.extend(cancel::trials());
    trials.extend(cuts::trials());
    trials.extend(dead::trials());
    trials.extend(follow::trials());
    trials.extend(namespaces::trials());
    trials.extend(scripted::trials());
    trials.extend(setback::trials());
    #[cfg(streamkeep_faults)]
    trials.extend(failpoints::trials());
    #[cfg(streamkeep_faults)]
    trials.extend(imports::trials());
    #[cfg(streamkeep_faults)]
    trials.extend(attempts::trials());
    #[cfg(streamkeep_faults)]
    trials.push(every_case_has_a_rule(&trials));
    trials.extend(checker_proof::trials());
    trials.extend(two_sessions::cases().into_iter().flat_map(|case| case.trials()));
    trials.extend(planted::trials());
    if !arguments.list {
        // Before the first case and on this thread, because a server ends with the thread that started it.
        for backend in BACKENDS {
            if let Some(reason) = backend.missing() {
                println!("SKIPPED: every case on {backend}: {reason}");
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    stop_servers();
    conclusion.exit_code()
}

/// `rules.md` says which case tests which rule under faults.
#[cfg(streamkeep_faults)]
fn every_case_has_a_rule(trials: &[Trial]) -> Trial {
    let cases =
        trials.iter().filter_map(|trial| trial.name().rsplit_once(" [")).map(|(name, _)| name.to_owned()).collect();
    Trial::test("rules: every case under faults belongs to a rule", move || Ok(check_faults(&cases)?))
}
