//! Calls that are cancelled, with a pool of one connection: an append is whole or absent, no transaction stays open,
//! and the next caller is served.

use std::future::Future;
use std::time::Duration;

use fastrand::Rng;
use futures::TryStreamExt;
use libtest_mimic::{Failed, Trial};
use streamkeep::{
    ErrorKind, Event, EventStore, ExpectedVersion, OpenOptions, Payload, ReadOptions, ReadPageOptions, Snapshot,
    SubscribeOptions,
};
use streamkeep_tests::harness::BACKENDS;

use super::checker::check_history;
use super::ground::{self, Ground, case, open_transactions};
use super::history::{Answer, Expected, History, Row};
use super::polls::polled;
use super::storm::read_log;
use super::writers::{Draft, events};

/// Each number of polls is tried this often: how far a future gets by them varies.
const ROUNDS: usize = 25;
/// The next caller must be served within this time.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn trials() -> Vec<Trial> {
    let appends = BACKENDS
        .into_iter()
        .map(|kind| case("cancel::an_append_dropped_at_any_poll_is_whole_or_absent", kind, appends));
    let in_groups = BACKENDS
        .into_iter()
        .map(|kind| case("cancel::appends_dropped_from_a_group_are_whole_or_absent", kind, in_groups));
    let reads =
        BACKENDS.into_iter().map(|kind| case("cancel::a_read_dropped_at_any_poll_leaves_nothing_open", kind, reads));
    let follows = BACKENDS
        .into_iter()
        .map(|kind| case("cancel::a_cancelled_wait_of_a_subscription_loses_no_event", kind, subscription));
    let closes =
        BACKENDS.into_iter().map(|kind| case("cancel::an_append_during_a_close_is_done_or_closed", kind, closing));
    appends.chain(in_groups).chain(reads).chain(follows).chain(closes).collect()
}

/// A store whose pool is one connection.
pub fn one_connection(ground: &Ground) -> OpenOptions {
    ground.options().max_connections(1)
}

/// Awaits a future. After [`PATIENCE`] the error names what did not end.
pub async fn in_time<F: Future>(what: &str, future: F) -> Result<F::Output, Failed> {
    tokio::time::timeout(PATIENCE, future)
        .await
        .map_err(|_| format!("{what}: no end within {} s", PATIENCE.as_secs()).into())
}

/// Checks that the store serves its next caller and the database its next store.
pub async fn still_served(ground: &Ground, store: &EventStore, history: &mut History) -> Result<(), Failed> {
    let draft = |stream: &str| Draft {
        stream: stream.to_owned(),
        expected: Expected::Any,
        events: vec![Event::json_text("Probe", "{}")],
    };
    let other = ground.open().await?;
    for (store, stream) in [(store, "probe-same"), (&other, "probe-other")] {
        let (attempt, _, wrong) = in_time("an append after a cancelled call", draft(stream).append(store)).await?;
        if !matches!(attempt.answer, Answer::Done { .. }) {
            return Err(format!("after a cancelled call an append returned {:?}, {wrong:?}", attempt.answer).into());
        }
        history.attempts.push(attempt);
    }
    Ok(other.close().await?)
}

/// Checks at the end of a case that no transaction is open and that the history agrees with the log.
pub async fn conclude(
    what: &str,
    ground: &Ground,
    store: &EventStore,
    history: &History,
    seed: u64,
) -> Result<(), Failed> {
    in_time("transactions of cancelled calls", async {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        while open_transactions(ground).await? > 0 {
            pause.tick().await;
        }
        Ok::<_, Failed>(())
    })
    .await??;
    let log = read_log(ground).await?;
    store.close().await?;
    let verdict = check_history(history, &log);
    let dropped = history.attempts.iter().filter(|attempt| attempt.answer == Answer::Unknown).count();
    let words = format!(
        "{what} {}: {} appends, {dropped} of them without an answer: {verdict}; no transaction left open, seed {seed}",
        ground.kind,
        history.attempts.len()
    );
    if verdict.is_clean() {
        println!("{words}");
        Ok(())
    } else {
        Err(words.into())
    }
}

fn draft(rng: &mut Rng, history: &History) -> Draft {
    let stream = format!("s-{}", rng.u8(..4));
    let version = history.attempts.iter().rev().find(|attempt| attempt.stream == stream).map_or(0, |attempt| {
        match attempt.answer {
            Answer::Done { version, .. } => version,
            _ => 0,
        }
    });
    Draft {
        stream,
        expected: if rng.bool() { Expected::Any } else { Expected::Exact(version) },
        events: events(rng, 5),
    }
}

async fn appends(ground: Ground) -> Result<(), Failed> {
    let (seed, store) = (ground::seed(), one_connection(&ground).open().await?);
    let (mut rng, mut history) = (Rng::with_seed(seed), History::default());
    for _ in 0..ROUNDS {
        for polls in 0.. {
            let draft = draft(&mut rng, &history);
            let ended = in_time("an append", polled(polls, draft.append(&store))).await?;
            let (attempt, _, wrong) = ended.unwrap_or_else(|| (draft.attempt(Answer::Unknown), false, None));
            let done = matches!(attempt.answer, Answer::Done { .. } | Answer::Refused { .. });
            history.attempts.push(attempt);
            history.wrong.extend(wrong);
            if done {
                break;
            }
        }
        still_served(&ground, &store, &mut history).await?;
    }
    conclude("cancel::appends", &ground, &store, &history, seed).await
}

/// Cancels appends while others use the one connection: some are still queued, some were sent in a group with others.
async fn in_groups(ground: Ground) -> Result<(), Failed> {
    let (seed, store) = (ground::seed(), one_connection(&ground).open().await?);
    let callers = (0..8).map(|number| {
        let (store, mut rng) = (store.clone(), Rng::with_seed(seed ^ number));
        tokio::spawn(async move {
            let mut history = History::default();
            for _ in 0..ROUNDS {
                let draft = draft(&mut rng, &History::default());
                let polls = rng.usize(..4);
                let ended = polled(if polls == 3 { usize::MAX } else { polls }, draft.append(&store)).await;
                let (attempt, _, wrong) = ended.unwrap_or_else(|| (draft.attempt(Answer::Unknown), false, None));
                history.attempts.push(attempt);
                history.wrong.extend(wrong);
            }
            history
        })
    });
    let mut history = History::default();
    for part in callers.collect::<Vec<_>>() {
        history.add(in_time("appends in groups", part).await??);
    }
    still_served(&ground, &store, &mut history).await?;
    conclude("cancel::appends in groups", &ground, &store, &history, seed).await
}

/// Cancels every kind of read after every number of polls.
async fn reads(ground: Ground) -> Result<(), Failed> {
    let (seed, store) = (ground::seed(), one_connection(&ground).open().await?);
    let (mut rng, mut history) = (Rng::with_seed(seed), History::default());
    let first = Draft { stream: "s-0".into(), expected: Expected::NoStream, events: events(&mut rng, 20) };
    history.attempts.push(first.append(&store).await.0);
    for round in 0..ROUNDS {
        for polls in 0..20 {
            let ended = in_time("a read", async {
                match round % 5 {
                    0 => polled(polls, store.read("s-0", ReadOptions::default()).try_next())
                        .await
                        .map(|result| result.map(drop)),
                    1 => {
                        polled(polls, store.read_page(ReadPageOptions::default())).await.map(|result| result.map(drop))
                    }
                    2 => polled(polls, store.head()).await.map(|result| result.map(drop)),
                    3 => polled(polls, store.save_snapshot(snapshot())).await,
                    _ => polled(polls, store.load_snapshot("s-0", "s/1", None)).await.map(|result| result.map(drop)),
                }
            })
            .await?;
            if ended.transpose()?.is_some() {
                break;
            }
        }
        still_served(&ground, &store, &mut history).await?;
    }
    conclude("cancel::reads", &ground, &store, &history, seed).await
}

fn snapshot() -> Snapshot {
    Snapshot { stream: "s-0".into(), version: 1, schema: "s/1".into(), data: Payload::Json("{}".into()) }
}

/// Cancels the wait for the next batch again and again: the next batch has every event that was on its way.
async fn subscription(ground: Ground) -> Result<(), Failed> {
    let (seed, store) = (ground::seed(), one_connection(&ground).open().await?);
    let (mut rng, mut history) = (Rng::with_seed(seed), History::default());
    let mut follow = store.subscribe(SubscribeOptions::default());
    let mut rows = Vec::new();
    for round in 0..ROUNDS {
        let draft = draft(&mut rng, &history);
        history.attempts.push(draft.append(&store).await.0);
        let written = history
            .attempts
            .iter()
            .filter(|attempt| matches!(attempt.answer, Answer::Done { .. }))
            .map(|attempt| attempt.ids.len())
            .sum::<usize>();
        let mut polls = 0;
        in_time("a subscription", async {
            while rows.len() < written {
                if let Some(batch) = polled(polls, follow.next_batch()).await.transpose()?.flatten() {
                    rows.extend(batch.events.iter().map(Row::from));
                }
                polls = (polls + 1) % (round + 2);
                tokio::task::yield_now().await;
            }
            Ok::<_, Failed>(())
        })
        .await??;
    }
    drop(follow);
    history.received.push(super::history::Received {
        name: "a subscriber that cancels its waits".into(),
        start: (0, 0),
        rows,
    });
    conclude("cancel::subscription", &ground, &store, &history, seed).await
}

/// An append during a close succeeds or fails with `closed`, never with another error.
async fn closing(ground: Ground) -> Result<(), Failed> {
    let (seed, keeper) = (ground::seed(), ground.open().await?);
    let (mut rng, mut history) = (Rng::with_seed(seed), History::default());
    for _ in 0..ROUNDS {
        let store = one_connection(&ground).open().await?;
        let appending =
            (0..6).map(|number| tokio::spawn(append_until_closed(store.clone(), Rng::with_seed(seed ^ number))));
        let appending: Vec<_> = appending.collect();
        tokio::time::sleep(Duration::from_micros(rng.u64(..5_000))).await;
        in_time("a close", store.close()).await??;
        for part in appending {
            history.add(in_time("appends to a closed store", part).await??);
        }
    }
    conclude("cancel::closing", &ground, &keeper, &history, seed).await
}

async fn append_until_closed(store: EventStore, mut rng: Rng) -> History {
    let mut history = History::default();
    loop {
        let draft = draft(&mut rng, &History::default());
        let draft = Draft { expected: Expected::Any, ..draft };
        match store.append(&draft.stream, draft.events.clone(), ExpectedVersion::Any).await {
            Ok(done) => history
                .attempts
                .push(draft.attempt(Answer::Done { version: done.version, position: Some(done.position) })),
            Err(error) => {
                history.attempts.push(draft.attempt(Answer::Refused { actual: None }));
                if !matches!(error.kind(), ErrorKind::Closed) {
                    history.wrong.push(format!("an append during a close returned {error:?}"));
                }
                return history;
            }
        }
    }
}
