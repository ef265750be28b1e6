//! Imports whose caller goes away or whose deadline passes while a task of the store waits at a failpoint.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use streamkeep::{ErrorKind, Event, EventStore, ImportEvent, ImportResult, Outcome, faults};
use streamkeep_tests::harness::Backend;

use super::cancel::{conclude, in_time, one_connection, still_served};
use super::ground::Ground;
use super::history::{Answer, Expected, History};
use super::process::at_each_point;
use super::writers::Draft;

/// Where an import can be paused.
const IN_IMPORTS: &[(Backend, &str)] = &[
    (Backend::Memory, "import-before-send"),
    (Backend::Memory, "import-before-answer"),
    (Backend::Sqlite, "import-before-send"),
    (Backend::Sqlite, "import-before-answer"),
    (Backend::Sqlite, "sqlite-in-import"),
    (Backend::Postgres, "import-before-send"),
    (Backend::Postgres, "import-before-answer"),
    (Backend::Postgres, "postgres-import-before-commit"),
    (Backend::Postgres, "postgres-import-after-commit"),
    (Backend::Mongodb, "import-before-send"),
    (Backend::Mongodb, "import-before-answer"),
    (Backend::Mongodb, "mongodb-in-import"),
    (Backend::Mongodb, "mongodb-before-commit"),
    (Backend::Mongodb, "mongodb-import-after-commit"),
];

/// The number of events in each import.
const EVENTS: u64 = 3;

pub fn trials() -> Vec<Trial> {
    let dropped = at_each_point("import_dropped", IN_IMPORTS, dropped);
    dropped.chain(at_each_point("import_deadline_passes", IN_IMPORTS, deadline_passes)).collect()
}

fn draft(round: usize) -> Draft {
    Draft {
        stream: format!("s-{round}"),
        expected: Expected::NoStream,
        events: (0..EVENTS).map(|_| Event::json_text("Happened", "{}")).collect(),
    }
}

async fn import(store: &EventStore, draft: &Draft) -> streamkeep::Result<ImportResult> {
    let import = |event: &Event| ImportEvent {
        stream: draft.stream.clone(),
        version: None,
        recorded_at: None,
        event: event.clone(),
    };
    store.import_events(draft.events.iter().map(import).collect::<Vec<_>>()).await
}

/// Repeats an import, and then once more. The first repeat finds it whole or absent, and the second gives the same
/// position and writes nothing.
async fn repeat(store: &EventStore, draft: &Draft, history: &mut History) -> Result<ImportResult, Failed> {
    let first = in_time("the same import again", import(store, draft)).await??;
    let second = in_time("the same import once more", import(store, draft)).await??;
    if ![(EVENTS, 0), (0, EVENTS)].contains(&(first.imported, first.passed_over))
        || (second.imported, second.passed_over, second.position) != (0, EVENTS, first.position)
    {
        return Err(format!("an import of {EVENTS} events was repeated and gave {first:?}, then {second:?}").into());
    }
    history.attempts.push(draft.attempt(Answer::Done { version: EVENTS, position: Some(first.position) }));
    Ok(first)
}

/// An import that was sent continues and commits although its caller is gone.
async fn dropped(ground: Ground, point: &'static str) -> Result<(), Failed> {
    let (store, mut history) = (one_connection(&ground).open().await?, History::default());
    for round in 0..3 {
        let draft = draft(round);
        let paused = faults::pause(point);
        let call = tokio::spawn({
            let (store, draft) = (store.clone(), draft.clone());
            async move { import(&store, &draft).await }
        });
        in_time("reaching the failpoint", paused.reached()).await?;
        call.abort();
        let _ = call.await;
        drop(paused);
        in_time("an import whose caller is gone", async {
            while store.last(&draft.stream).await?.is_none() {
                tokio::task::yield_now().await;
            }
            Ok::<_, Failed>(())
        })
        .await??;
        still_served(&ground, &store, &mut history).await?;
        let again = repeat(&store, &draft, &mut history).await?;
        if again.imported > 0 {
            return Err(
                format!("an import was sent, its caller was cancelled, and it did not run on: {again:?}").into()
            );
        }
    }
    conclude(point, &ground, &store, &history, 0).await
}

/// At the deadline the caller gets an error that says what is known, and the repeat shows whether that was true.
async fn deadline_passes(ground: Ground, point: &'static str) -> Result<(), Failed> {
    let (store, mut history) = (one_connection(&ground).open().await?, History::default());
    let hasty = store.with_timeout(Duration::from_millis(300));
    for round in 0..3 {
        let draft = draft(round);
        let paused = faults::pause(point);
        let result = in_time("an import past its deadline", import(&hasty, &draft)).await?;
        let Err(error) = result else { return Err("an import that is paused past its deadline succeeded".into()) };
        let ids = draft.events.iter().map(|event| event.id);
        if !matches!(error.kind(), ErrorKind::Unavailable) || !error.ids().iter().copied().eq(ids) {
            return Err(format!("an import paused past its deadline returned {error:?}").into());
        }
        drop(paused);
        still_served(&ground, &store, &mut history).await?;
        let again = repeat(&store, &draft, &mut history).await?;
        if error.outcome() == Outcome::NotApplied && again.passed_over > 0 {
            return Err(
                format!("refused: an import was not applied by {error:?}, and its repeat gave {again:?}").into()
            );
        }
    }
    conclude(point, &ground, &store, &history, 0).await
}
