//! Namespaces of one database that are written at the same time. On SQLite their appends share transactions.

use futures::future::join_all;
use libtest_mimic::{Failed, Trial};
use streamkeep::EventStore;
use streamkeep_tests::effort::effort;
use streamkeep_tests::harness::BACKENDS;
#[cfg(streamkeep_faults)]
use {
    super::{
        cancel::in_time,
        history::{Answer, Expected},
        process::in_own_process,
        writers::{Draft, refusal},
    },
    std::path::PathBuf,
    std::sync::atomic::{AtomicBool, AtomicU64, Ordering},
    std::time::Duration,
    streamkeep::{AppendOptions, Error, Event, ExpectedVersion, faults},
    streamkeep_tests::harness::Backend,
};

use super::checker::check_history;
use super::ground::{Ground, case, seed};
use super::history::History;
use super::storm::read_log_of;
use super::writers::WriterGroup;

/// How many events a storm writes into each namespace with the usual effort.
const EVENTS: u64 = 2_000;
const NAMES: [&str; 4] = ["north", "east", "south", "west"];

pub fn trials() -> Vec<Trial> {
    let storms = BACKENDS.into_iter().map(|kind| case("namespaces::a_storm_over_four_of_them", kind, storm));
    #[cfg(streamkeep_faults)]
    let storms = storms.chain([
        in_own_process("namespaces::a_deadline_passes_in_a_joint_transaction", Backend::Sqlite, deadline_passes),
        in_own_process("namespaces::a_file_is_removed_in_a_joint_transaction", Backend::Sqlite, file_removed),
    ]);
    storms.collect()
}

/// The store of each namespace.
async fn stores(ground: &Ground) -> Result<Vec<EventStore>, Failed> {
    let mut stores = Vec::new();
    for name in NAMES {
        stores.push(ground.options().namespace(name).open().await?);
    }
    Ok(stores)
}

/// Checks each namespace's log against what its writers were told, and closes its store.
async fn conclude(what: &str, stores: &[EventStore], histories: &[History]) -> Result<(), Failed> {
    for ((name, store), history) in NAMES.iter().zip(stores).zip(histories) {
        let verdict = check_history(history, &read_log_of(store).await?);
        let words = format!("{what}, namespace {name}: {} appends: {verdict}", history.attempts.len());
        if !verdict.is_clean() {
            return Err(words.into());
        }
        println!("{words}");
    }
    Ok(())
}

/// Each namespace has writers of its own, which race, repeat, import and are cancelled.
async fn storm(ground: Ground) -> Result<(), Failed> {
    let (seed, stores) = (seed(), stores(&ground).await?);
    let group = |name: &str| WriterGroup {
        url: format!("{}?namespace={name}", ground.url),
        seed,
        number: 0,
        writers: 6,
        events: EVENTS * u64::from(effort()) / u64::from(ground.kind.patience()),
    };
    let histories: Vec<History> =
        join_all(NAMES.map(|name| group(name).run())).await.into_iter().collect::<Result<_, _>>()?;
    conclude(&format!("{} (STREAMKEEP_SEED={seed})", ground.kind), &stores, &histories).await
}

/// Appends to each namespace until an append to one of them fails, and counts those that succeed. Returns each history,
/// with the error.
#[cfg(streamkeep_faults)]
async fn append_until_refused(stores: &[EventStore], acknowledged: &AtomicU64) -> Vec<(History, Option<Error>)> {
    let refused = AtomicBool::new(false);
    let append = async |store: &EventStore| {
        let (mut history, mut refusal_of_last) = (History::default(), None);
        while !refused.load(Ordering::Relaxed) {
            let draft = Draft {
                stream: format!("s-{}", history.attempts.len()),
                expected: Expected::Any,
                events: (0..3).map(|_| Event::json_text("Happened", "{}")).collect(),
            };
            let options = AppendOptions { expected: ExpectedVersion::Any, timeout: Some(Duration::from_millis(300)) };
            let answer = match store.append(&draft.stream, draft.events.clone(), options).await {
                Ok(done) => {
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    Answer::Done { version: done.version, position: Some(done.position) }
                }
                Err(error) => {
                    refused.store(true, Ordering::Relaxed);
                    let answer = refusal(&error, draft.expected).0;
                    refusal_of_last = Some(error);
                    answer
                }
            };
            history.attempts.push(draft.attempt(answer));
        }
        (history, refusal_of_last)
    };
    join_all(stores.iter().map(append)).await
}

#[cfg(streamkeep_faults)]
async fn deadline_passes(ground: Ground) -> Result<(), Failed> {
    let stores = stores(&ground).await?;
    let mut histories: Vec<History> = NAMES.iter().map(|_| History::default()).collect();
    for round in 0..3 {
        let (paused, acknowledged) = (faults::pause("sqlite-in-joint-transaction"), AtomicU64::new(0));
        let (refused, reached) = tokio::join!(
            in_time("appends past their deadlines", append_until_refused(&stores, &acknowledged)),
            in_time("reaching the failpoint", paused.reached())
        );
        reached?;
        drop(paused);
        for ((history, store), (part, error)) in histories.iter_mut().zip(&stores).zip(refused?) {
            if let Some(error) = error.filter(|error| !error.retryable()) {
                return Err(format!("an append paused past its deadline returned {error:?}").into());
            }
            history.add(part);
            let draft = Draft {
                stream: format!("after-{round}"),
                expected: Expected::NoStream,
                events: vec![Event::json_text("Probe", "{}")],
            };
            let (attempt, _, wrong) = in_time("an append after a late one", draft.append(store)).await?;
            if !matches!(attempt.answer, Answer::Done { .. }) {
                return Err(format!("after a late append another one returned {:?}, {wrong:?}", attempt.answer).into());
            }
            history.attempts.push(attempt);
        }
    }
    conclude("late in a joint transaction", &stores, &histories).await
}

#[cfg(streamkeep_faults)]
async fn file_removed(ground: Ground) -> Result<(), Failed> {
    let file = PathBuf::from(ground.url.trim_start_matches("sqlite:"));
    let stores = stores(&ground).await?;
    let (paused, acknowledged) = (faults::pause("sqlite-in-joint-transaction"), AtomicU64::new(0));
    let remove = async {
        in_time("reaching the failpoint", paused.reached()).await?;
        let before = acknowledged.load(Ordering::Relaxed);
        std::fs::rename(&file, file.with_extension("away"))?;
        drop(paused);
        Ok::<_, Failed>(before)
    };
    let (refused, before) = tokio::join!(in_time("the appends", append_until_refused(&stores, &acknowledged)), remove);
    if let Some(error) = refused?.into_iter().filter_map(|(_, error)| error).find(|error| error.code() != "corrupt") {
        return Err(format!("an append to a file that was removed returned {error:?}").into());
    }
    match acknowledged.into_inner() - before? {
        0 => Ok(()),
        after => Err(format!("acknowledged: {after} appends in a file that was removed").into()),
    }
}
