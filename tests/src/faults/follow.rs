//! Subscriptions that follow the log by polling alone, and across pages.

use std::time::Duration;

use futures::TryStreamExt;
use libtest_mimic::{Failed, Trial};
use streamkeep::{Event, EventStore, ExpectedVersion, ReadAllOptions, SubscribeOptions};
use streamkeep_tests::harness::BACKENDS;
use tokio::runtime::Runtime;

use super::cancel::in_time;
use super::ground::{Ground, case, runtime};

/// Two and a half pages.
const EVENTS: usize = 2_500;

pub fn trials() -> Vec<Trial> {
    let without_change_streams =
        BACKENDS.into_iter().map(|kind| case("follow::polling_finds_the_write_of_another_store", kind, no_hint));
    let churn = BACKENDS.into_iter().map(|kind| case("follow::readers_that_come_and_go_delay_no_poll", kind, churn));
    without_change_streams
        .chain(churn)
        .chain(BACKENDS.into_iter().map(|kind| case("follow::pages_join_without_a_gap", kind, pages)))
        .collect()
}

/// A subscriber finds another store's write by polling: there may be no hint.
async fn no_hint(ground: Ground) -> Result<(), Failed> {
    let reader = ground.options().poll_interval(Duration::from_millis(50)).open().await?;
    let other = OtherRuntime::new()?;
    let writer = other.open(&ground).await?;
    let mut follow = reader.subscribe(SubscribeOptions::default());
    in_time("catching up", follow.next_batch()).await??;
    for _ in 0..3 {
        let written = writer.append("s-1", [Event::json_text("Happened", "{}")], ExpectedVersion::Any).await?;
        let batch = in_time("the wait for another store's write", follow.next_batch()).await??;
        let positions: Vec<u64> =
            batch.into_iter().flat_map(|batch| batch.events).map(|event| event.position).collect();
        if positions != [written.position] {
            return Err(format!("a subscriber got {positions:?} instead of the event that was written").into());
        }
    }
    drop(follow);
    reader.close().await?;
    Ok(writer.close().await?)
}

/// Subscriptions that begin and end all the time do not delay the poll of one that waits.
async fn churn(ground: Ground) -> Result<(), Failed> {
    const POLL_INTERVAL: Duration = Duration::from_millis(400);
    let reader = ground.options().poll_interval(POLL_INTERVAL).open().await?;
    let other = OtherRuntime::new()?;
    let writer = other.open(&ground).await?;
    let mut follow = reader.subscribe(SubscribeOptions::default());
    in_time("catching up", follow.next_batch()).await??;
    let coming = tokio::spawn({
        let reader = reader.clone();
        async move {
            loop {
                let mut short = reader.subscribe(SubscribeOptions::default());
                while !short.next_batch().await?.is_some_and(|batch| batch.caught_up) {}
                drop(short);
                tokio::time::sleep(POLL_INTERVAL / 8).await;
            }
            #[allow(unreachable_code, reason = "it is the result type of the task")]
            streamkeep::Result::Ok(())
        }
    });
    for _ in 0..3 {
        let written = writer.append("s-1", [Event::json_text("Happened", "{}")], ExpectedVersion::Any).await?;
        let batch = in_time("the wait for another store's write", follow.next_batch()).await??;
        let positions: Vec<u64> =
            batch.into_iter().flat_map(|batch| batch.events).map(|event| event.position).collect();
        if positions != [written.position] {
            return Err(format!("a subscriber got {positions:?} instead of the event that was written").into());
        }
    }
    coming.abort();
    drop(follow);
    reader.close().await?;
    Ok(writer.close().await?)
}

/// A second runtime in this process. Handles of one runtime share their hints; those of two share only the database.
struct OtherRuntime(Option<Runtime>);

impl OtherRuntime {
    fn new() -> Result<Self, Failed> {
        Ok(Self(Some(runtime()?)))
    }

    async fn open(&self, ground: &Ground) -> Result<EventStore, Failed> {
        let (runtime, options) = (self.0.as_ref().ok_or("the runtime has ended")?, ground.options());
        Ok(runtime.spawn(async move { options.open().await }).await??)
    }
}

impl Drop for OtherRuntime {
    /// A runtime must not be dropped inside another one.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Readers and subscribers get every event of several pages once.
async fn pages(ground: Ground) -> Result<(), Failed> {
    let store = ground.open().await?;
    let events = (0..EVENTS).map(|_| Event::json_text("Happened", "{}"));
    let written: Vec<_> = events.collect();
    store.append("s-1", written.clone(), ExpectedVersion::NoStream).await?;
    let written: Vec<_> = written.iter().map(|event| event.id).collect();
    let read: Vec<_> =
        in_time("reading", store.read_all(ReadAllOptions::default()).map_ok(|event| event.id).try_collect()).await??;
    if read != written {
        return Err(format!("of {EVENTS} events {} were read", read.len()).into());
    }
    let (mut follow, mut given) = (store.subscribe(SubscribeOptions::default()), Vec::new());
    while let Some(batch) = in_time("a subscription", follow.next_batch()).await?? {
        given.extend(batch.events.iter().map(|event| event.id));
        if batch.caught_up {
            break;
        }
    }
    if given != written {
        return Err(format!("of {EVENTS} events {} were given", given.len()).into());
    }
    drop(follow);
    Ok(store.close().await?)
}
