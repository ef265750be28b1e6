//! The suite's main: `cargo test -p streamkeep-tests [-- PART_OF_A_NAME]`.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use streamkeep_tests::{architecture, behaviour, documents, harness, model, rules, scenario, surface, vectors};

/// Cases mostly wait for disks and for each other.
const THREADS: usize = 8;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let mut trials: Vec<Trial> = Vec::new();
    trials.extend(architecture::trials());
    trials.extend(documents::trials());
    trials.extend(rules::trials());
    trials.extend(surface::trials());
    trials.extend(scenario::trials());
    trials.extend(vectors::trials());
    trials.extend(behaviour::cases().into_iter().flat_map(|case| case.trials()));
    trials.extend(model::trials());
    trials.extend(streamkeep_tests::two_sessions::cases().into_iter().flat_map(|case| case.trials()));
    if !arguments.list {
        // Before the first case, and on this thread: a server ends with the thread that started it.
        for backend in harness::BACKENDS {
            if let Some(reason) = backend.missing() {
                println!("SKIPPED: every case on {backend}: {reason}");
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    harness::stop_servers();
    conclusion.exit_code()
}
