//! Change streams are only hints. A lost one delays events and loses none, and it is opened again after a pause.

use std::time::Duration;

use futures::future::try_join_all;
use libtest_mimic::{Failed, Trial};
use mongodb::bson::{Bson, Document, doc};
use streamkeep::{EventStore, RecordedEvent, SubscribeOptions, Subscription};
use streamkeep_tests::harness::Backend;
use tokio::time::sleep;

use super::super::cancel::in_time;
use super::super::ground::{Ground, case};
use super::super::history::{Expected, History};
use super::super::proxy::{Action, Seen, refusal};
use super::{Proxied, done, draft};

/// Longer than any case.
const NEVER: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_millis(50);
/// How long change streams fail, and how often the store may open one in that time. With pauses that grow from a
/// quarter of a second it opens four, and the driver repeats each once.
const WINDOW: Duration = Duration::from_millis(1_500);
const MOST: usize = 10;

pub fn trials() -> Vec<Trial> {
    vec![
        case("hints::a_write_of_another_store_arrives_long_before_the_poll", Backend::Mongodb, hinted),
        case("hints::a_lost_change_stream_is_opened_again_with_pauses", Backend::Mongodb, lost),
        case("hints::polling_works_without_change_streams", Backend::Mongodb, without_change_streams),
    ]
}

/// A subscriber to the writes of another store.
struct Listener {
    store: EventStore,
    follow: Subscription,
    given: usize,
}

impl Listener {
    async fn begin(proxied: &Proxied, namespace: &str, poll: Duration) -> Result<Self, Failed> {
        let store = proxied.options().namespace(namespace).poll_interval(poll).open().await?;
        let mut follow = store.subscribe(SubscribeOptions::default());
        in_time("catching up", follow.next_batch()).await??;
        Ok(Self { store, follow, given: 0 })
    }

    /// Checks that several writes arrive.
    async fn gets_writes(&mut self, writer: &EventStore) -> Result<(), Failed> {
        for _ in 0..3 {
            let draft = draft("s-1", Expected::Any);
            done(writer, &draft, &mut History::default()).await?;
            let ids: Vec<_> = draft.events.iter().map(|event| event.id).collect();
            let given: Vec<_> = self.take(ids.len()).await?.iter().map(|event| event.id).collect();
            if given != ids {
                return Err(format!("a subscriber got {given:?} instead of {ids:?}").into());
            }
        }
        Ok(())
    }

    /// Takes the next `count` events.
    async fn take(&mut self, count: usize) -> Result<Vec<RecordedEvent>, Failed> {
        let mut events = Vec::new();
        while events.len() < count {
            let batch = in_time("the wait for another store's write", self.follow.next_batch()).await??;
            events.extend(batch.into_iter().flat_map(|batch| batch.events));
        }
        self.given += events.len();
        Ok(events)
    }

    async fn end(self) -> Result<(), Failed> {
        drop(self.follow);
        Ok(self.store.close().await?)
    }
}

/// Whether a change stream works: it was asked for news twice since it last failed.
fn works(seen: &[Seen]) -> bool {
    let since = seen.iter().rposition(|seen| seen.scripted).map_or(0, |last| last + 1);
    seen[since..].iter().filter(|seen| seen.command.name == "getMore").count() >= 2
}

async fn hinted(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    let (writer, mut listener) = (ground.open().await?, Listener::begin(&proxied, "default", NEVER).await?);
    in_time("a change stream", proxied.proxy.script().until(works)).await?;
    listener.gets_writes(&writer).await?;
    listener.end().await?;
    Ok(writer.close().await?)
}

/// The server has no change streams or does not permit them.
async fn without_change_streams(ground: Ground) -> Result<(), Failed> {
    let cases = [("standalone", 40_573), ("forbidden", 13), ("unknown", 59)].map(async |(namespace, code)| {
        let proxied = Proxied::new(&ground).await?;
        proxied.proxy.script().always("aggregate", Action::Answer(refusal(code, &[])));
        let (writer, mut listener) =
            (ground.options().namespace(namespace).open().await?, Listener::begin(&proxied, namespace, SOON).await?);
        listener.gets_writes(&writer).await?;
        listener.end().await?;
        Ok::<_, Failed>(writer.close().await?)
    });
    try_join_all(cases).await.map(drop)
}

/// A way in which a change stream is lost.
struct Loss {
    name: &'static str,
    command: &'static str,
    answer: Document,
}

fn losses() -> Vec<Loss> {
    let loss = |name, command, code: i32, labels: &[&str]| Loss { name, command, answer: refusal(code, labels) };
    let resumable = &["ResumableChangeStreamError"][..];
    vec![
        loss("history", "getMore", 286, &[]),
        loss("history_at_once", "aggregate", 286, &[]),
        loss("fatal", "getMore", 280, &[]),
        loss("forbidden", "getMore", 13, &[]),
        loss("forbidden_at_once", "aggregate", 13, &[]),
        loss("unsupported", "aggregate", 40_573, &[]),
        // Errors for which a driver opens the stream again by itself, as often as they come.
        loss("killed", "getMore", 43, resumable),
        loss("interrupted", "getMore", 237, resumable),
        loss("deposed", "getMore", 10_107, resumable),
        Loss { name: "invalidated", command: "getMore", answer: invalidated() },
    ]
}

/// The collection was dropped or renamed: the last event of its stream.
fn invalidated() -> Document {
    let event = doc! { "_id": { "_data": "82" }, "operationType": "invalidate" };
    doc! { "ok": 1.0, "cursor": { "id": Bson::Int64(0), "ns": "test.events", "nextBatch": [event], "postBatchResumeToken": { "_data": "82" } } }
}

async fn lost(ground: Ground) -> Result<(), Failed> {
    try_join_all(losses().into_iter().map(|loss| lose(&ground, loss))).await.map(drop)
}

async fn lose(ground: &Ground, loss: Loss) -> Result<(), Failed> {
    let why = |wrong: Failed| -> Failed {
        format!("{} answered {}: {}", loss.command, loss.answer, wrong.message().unwrap_or_default()).into()
    };
    let proxied = Proxied::new(ground).await?;
    let (writer, script) = (ground.options().namespace(loss.name).open().await?, proxied.proxy.script());
    // One store polls and one never does; each has its own change stream.
    let polled = proxied.behind_another_proxy().await?;
    polled.proxy.script().always(loss.command, Action::Answer(loss.answer.clone()));
    let (mut polling, mut waiting) =
        (Listener::begin(&polled, loss.name, SOON).await?, Listener::begin(&proxied, loss.name, NEVER).await?);
    in_time("a change stream", script.until(works)).await.map_err(why)?;
    script.take();
    script.always(loss.command, Action::Answer(loss.answer.clone()));
    if loss.command == "aggregate" {
        // The change stream that works must end first.
        script.order("getMore", "", 1, Action::Answer(refusal(280, &[])));
    }
    polling.gets_writes(&writer).await.map_err(why)?;
    sleep(WINDOW).await;
    let (tries, by_the_poller) = (script.count("aggregate"), polled.proxy.script().count("aggregate"));
    if tries == 0 || tries > MOST || by_the_poller > MOST * 2 {
        return Err(why(format!(
            "in {WINDOW:?} the change stream was opened {tries} times, and {by_the_poller} times by the store that polls"
        )
        .into()));
    }
    script.clear();
    in_time("a change stream again", script.until(works)).await.map_err(why)?;
    waiting.take(polling.given).await.map_err(why)?;
    waiting.gets_writes(&writer).await.map_err(why)?;
    println!("hints: {} {}: opened {tries} times while it failed", loss.command, loss.name);
    polling.end().await?;
    waiting.end().await?;
    Ok(writer.close().await?)
}
