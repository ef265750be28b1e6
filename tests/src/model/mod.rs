//! The log as a list: an oracle for random operation sequences, on every backend.

mod operation;
mod oracle;
mod run;

use std::time::Duration;

use libtest_mimic::Trial;
use proptest::test_runner::{Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::effort::effort;
use crate::harness::{BACKENDS, Backend, Room};
use crate::suite::trial;

/// Sequences that once failed; each run tries them first.
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/model.txt");
/// Repeats a run: the number that a failed one printed.
const SEED: &str = "STREAMKEEP_SEED";
const MOST_OPERATIONS: usize = 40;
const SEQUENCE_LIMIT: Duration = Duration::from_secs(30);

/// Random sequences on every backend.
pub fn trials() -> Vec<Trial> {
    BACKENDS
        .map(|backend| trial(backend, "model: random operations answer as a list of events does", None, check))
        .into()
}

/// A new place costs a transaction or two on a disk, so there are fewer sequences where there is one.
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
        .map_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0, |seed| seed.parse().expect("a seed is a number"));
    println!("{backend}: {SEED}={seed}");
    let config = Config {
        cases: sequences(backend) * effort(),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        max_shrink_iters: 300,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let checked = runner.run(&proptest::collection::vec(operation::operation(), 1..MOST_OPERATIONS), |operations| {
        let ended = runtime.block_on(async {
            tokio::time::timeout(SEQUENCE_LIMIT * backend.patience(), run::sequence(backend.room(), &operations)).await
        });
        ended.unwrap_or_else(|_| Err(format!("not done within {SEQUENCE_LIMIT:?}"))).map_err(TestCaseError::fail)
    });
    if let Err(failure) = checked {
        panic!("{failure}\nrun again with {SEED}={seed}");
    }
}
