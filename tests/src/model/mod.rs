//! Random sequences of operations on every backend, compared with a list of events as the oracle.

mod operation;
mod oracle;
mod run;

use std::time::Duration;

use libtest_mimic::Trial;
use proptest::test_runner::{Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::effort::effort;
use crate::harness::{BACKENDS, Backend, Room};
use crate::suite::{Inserts, trial};

/// Sequences that failed before; each run begins with them.
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/model.txt");
/// The variable that repeats a run, with the number that a failed run printed.
const SEED: &str = "STREAMKEEP_SEED";
const MOST_OPERATIONS: usize = 40;
const SEQUENCE_LIMIT: Duration = Duration::from_secs(30);
/// Shrinking ends after this time, so that a failure on a slow server is printed before the whole run is ended.
const SHRINK_LIMIT: Duration = Duration::from_secs(120);

/// Random sequences on every backend.
pub fn trials() -> Vec<Trial> {
    BACKENDS
        .map(|backend| {
            trial(
                backend,
                "model: a store answers random operations as a list of events does",
                None,
                Inserts::Few,
                check,
            )
        })
        .into()
}

/// A new database costs a transaction or two on a disk, so backends with a disk get fewer sequences.
const fn sequences(backend: Backend) -> u32 {
    match backend {
        Backend::Memory => 200,
        Backend::Sqlite => 40,
        Backend::Postgres | Backend::Mongodb => 20,
    }
}

fn check(first: Room) {
    let backend = first.backend();
    let seed = std::env::var(SEED)
        .ok()
        .map_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0, |seed| seed.parse().expect("the seed is a number"));
    println!("{backend}: {SEED}={seed}");
    let config = Config {
        cases: sequences(backend) * effort(),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        max_shrink_iters: 300,
        max_shrink_time: u32::try_from(SHRINK_LIMIT.as_millis()).expect("the limit fits into 32 bits"),
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("the runtime starts");
    let checked = runner.run(&proptest::collection::vec(operation::operation(), 1..MOST_OPERATIONS), |operations| {
        let ended = runtime.block_on(async {
            tokio::time::timeout(SEQUENCE_LIMIT * backend.patience(), run::sequence(backend.room(), &operations)).await
        });
        ended
            .unwrap_or_else(|_| Err(format!("the sequence took longer than {SEQUENCE_LIMIT:?}")))
            .map_err(TestCaseError::fail)
    });
    if let Err(failure) = checked {
        panic!("{failure}\nrun again with {SEED}={seed}");
    }
}
