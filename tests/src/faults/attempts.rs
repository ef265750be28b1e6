//! Attempts of appends on Postgres: the outcome of an attempt that was ended, and a race that one append of a group
//! loses.

use futures::future::try_join_all;
use libtest_mimic::{Failed, Trial};
use sqlx::{Connection, PgConnection};
use streamkeep::{Event, ExpectedVersion, OpenOptions, Outcome, faults};
use streamkeep_tests::harness::Backend;

use super::cancel::in_time;
use super::ground::{Ground, command};
use super::process::in_own_process;
use super::proxy::{Cut, Proxy};

/// How many groups of appends the store sends at a time.
const LANES: u64 = 2;

pub fn trials() -> Vec<Trial> {
    vec![
        in_own_process(
            "failpoints::an_append_whose_attempt_was_ended_is_unknown_until_its_ids_are_looked_up",
            Backend::Postgres,
            ended_attempt,
        ),
        in_own_process("failpoints::a_lost_race_does_not_delay_the_rest_of_its_group", Backend::Postgres, lost_race),
    ]
}

/// One append of a group waits for a transaction that then takes its version. The store checks that append alone and
/// answers the others meanwhile.
async fn lost_race(ground: Ground) -> Result<(), Failed> {
    let (store, mut own) = (ground.open().await?, PgConnection::connect(&ground.url).await?);
    let happened = || [Event::json_text("Happened", "{}")];
    let append = |stream: String| store.append(stream, happened(), ExpectedVersion::Any);
    append("hot".into()).await?;
    let lanes = faults::pause("queue-before-send");
    let mut first = Box::pin(try_join_all((0..LANES).map(|lane| append(format!("lane-{lane}")))));
    assert!(futures::poll!(&mut first).is_pending());
    while faults::hits("queue-before-send") < LANES {
        tokio::task::yield_now().await;
    }
    let mut transaction = own.begin_with("begin isolation level read committed").await?;
    store.append_in(&mut transaction, "hot", happened(), ExpectedVersion::Any).await?;
    // A call that was polled once is in the queue.
    let mut hot = Box::pin(append("hot".into()));
    let mut others = Box::pin(try_join_all((0..10).map(|number| append(format!("other-{number}")))));
    assert!(futures::poll!(&mut hot).is_pending() && futures::poll!(&mut others).is_pending());
    let look = faults::pause("postgres-between-facts-and-insert");
    drop(lanes);
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut *transaction).await? == 0 {
        tokio::task::yield_now().await;
    }
    transaction.commit().await?;
    in_time("appends of other groups", first).await??;
    in_time("the other appends of the group", others).await??;
    drop(look);
    let version = in_time("the append that lost a race", hot).await??.version;
    own.close().await?;
    store.close().await?;
    if version == 3 { Ok(()) } else { Err(format!("the append that lost a race got version {version}").into()) }
}

/// An attempt was ended, and the store has not yet looked up its ids: no refusal may say that nothing was written.
async fn ended_attempt(ground: Ground) -> Result<(), Failed> {
    let (proxy, url) = Proxy::before(ground.kind, &ground.url).await?;
    let store = OpenOptions::new(url).max_connections(1).open().await?;
    let happened = || [Event::json_text("Happened", "{}")];
    store.append("s-0", happened(), ExpectedVersion::Any).await?;
    proxy.arm(Cut::Delayed);
    let paused = faults::pause("postgres-attempts-ended");
    let call = tokio::spawn({
        let store = store.clone();
        async move { store.append("s-1", happened(), ExpectedVersion::StreamExists).await }
    });
    in_time("reaching the failpoint", paused.reached()).await?;
    command(&ground.url, "alter table streamkeep_default.events rename to away".to_owned()).await?;
    drop(paused);
    let result = in_time("an append with an unknown outcome", call).await??;
    command(&ground.url, "alter table streamkeep_default.away rename to events".to_owned()).await?;
    if !result.as_ref().is_err_and(|error| error.outcome() == Outcome::Unknown) {
        return Err(format!("an attempt was ended, the look-up failed, and the append returned {result:?}").into());
    }
    Ok(store.close().await?)
}
