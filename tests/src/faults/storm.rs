//! The storm: many writers that use every way to write, subscribers that read at the same time, and a check at the end.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use futures::future::join_all;
use libtest_mimic::{Failed, Trial};
use serde::{Deserialize, Serialize};
use streamkeep::{Event, EventStore, Item, OpenOptions, ReadAllOptions, ReadPageOptions, Start, SubscribeOptions};
use streamkeep_tests::effort::effort;
use streamkeep_tests::harness::{BACKENDS, Backend};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::checker::check_history;
use super::ground::{self, Ground, case};
use super::history::{Expected, History, Received, Row};
use super::process;
use super::transactions;
use super::writers::{Draft, WriterGroup};

/// How many events a storm writes with the usual effort, unless `STREAMKEEP_STORM_EVENTS` says another number.
const EVENTS: u64 = 20_000;
/// The same on a slow server.
const SLOW_EVENTS: u64 = 6_000;
/// The type of a storm's last event, which ends its subscribers.
const OVER: &str = "StormOver";
/// A subscriber that gets nothing for this long during a storm is stuck.
const STUCK: Duration = Duration::from_secs(15);

/// One subscriber, with a store of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Follower {
    pub url: String,
    pub name: String,
    /// The subscriber starts with `now` once the head is there; 0 means from the beginning.
    pub from_head: u64,
}

/// What a process of a storm does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Part {
    Writers(WriterGroup),
    Follower(Follower),
}

impl Part {
    pub async fn run(self) -> Result<History, Failed> {
        match self {
            Self::Writers(group) => group.run().await,
            Self::Follower(follower) => follower.run().await,
        }
    }
}

pub fn trials() -> Vec<Trial> {
    BACKENDS.into_iter().map(|kind| case("storm", kind, storm)).collect()
}

async fn storm(ground: Ground) -> Result<(), Failed> {
    let (seed, began) = (ground::seed(), Instant::now());
    let events = std::env::var("STREAMKEEP_STORM_EVENTS")
        .ok()
        .and_then(|events| events.parse().ok())
        .unwrap_or_else(|| u64::from(effort()) * if ground.kind == Backend::Mongodb { SLOW_EVENTS } else { EVENTS });
    println!("storm {}: seed {seed}", ground.kind);
    // A store in memory is deleted with its last handle.
    let keeper = ground.open().await?;
    let weather = StormPlan::new(&ground, seed, events);
    let writers = weather.writers();
    let history =
        weather.run().await.map_err(|wrong| format!("seed {seed}: {}", wrong.message().unwrap_or_default()))?;
    let log = read_log(&ground).await?;
    keeper.close().await?;
    let verdict = check_history(&history, &log);
    let words = format!(
        "storm {}: {} events, {writers} writers, {} subscribers: {verdict}, seed {seed}, {:.1} s",
        ground.kind,
        log.len(),
        history.received.len(),
        began.elapsed().as_secs_f64()
    );
    if verdict.is_clean() {
        println!("{words}");
        Ok(())
    } else {
        Err(words.into())
    }
}

/// One storm: its participants, which depend on the backend.
struct StormPlan {
    ground: Ground,
    seed: u64,
    groups: Vec<WriterGroup>,
    /// The number of writers that each hold a transaction of their own.
    holders: u64,
    events: u64,
}

impl StormPlan {
    fn new(ground: &Ground, seed: u64, events: u64) -> Self {
        let (groups, each, holders) = match ground.kind {
            Backend::Memory => (4, 3, 0),
            Backend::Sqlite => (4, 2, 0),
            Backend::Postgres => (2, 4, 4),
            Backend::Mongodb => (4, 3, 0),
        };
        let group = |number| WriterGroup {
            url: ground.url.clone(),
            seed,
            number: number * each,
            writers: each,
            events: events / groups,
        };
        Self { ground: ground.clone(), seed, groups: (0..groups).map(group).collect(), holders, events }
    }

    fn writers(&self) -> u64 {
        self.groups.iter().map(|group| group.writers).sum::<u64>() + self.holders
    }

    /// A part runs in a process of its own on SQLite, and elsewhere in this one with a store of its own.
    fn start(&self, part: Part) -> JoinHandle<Result<History, Failed>> {
        if self.ground.kind == Backend::Sqlite { tokio::spawn(process::run(part)) } else { tokio::spawn(part.run()) }
    }

    async fn run(self) -> Result<History, Failed> {
        let store = self.ground.open().await?;
        let follower =
            |name: &str, from_head| Follower { url: self.ground.url.clone(), name: name.to_owned(), from_head };
        let followers = [follower("from the beginning", 0), follower("from the middle", self.events / 4)]
            .map(|follower| self.start(Part::Follower(follower)));
        let over = CancellationToken::new();
        let heads = tokio::spawn(watch_head(self.ground.clone(), over.clone()));
        let holders = tokio::spawn(transactions::hold(self.ground.clone(), self.seed, self.holders, over.clone()));
        let mut history = History::default();
        for part in join_all(self.groups.iter().cloned().map(|group| self.start(Part::Writers(group)))).await {
            history.add(part??);
        }
        over.cancel();
        history.add(holders.await??);
        history.heads.extend(heads.await??);
        let last = Draft {
            stream: "storm-over".into(),
            expected: Expected::NoStream,
            events: vec![Event::json_text(OVER, "{}")],
        };
        let (attempt, _, wrong) = last.append(&store).await;
        history.add(History { attempts: vec![attempt], wrong: wrong.into_iter().collect(), ..History::default() });
        for part in join_all(followers).await {
            history.add(part??);
        }
        store.close().await?;
        Ok(history)
    }
}

impl Follower {
    async fn run(self) -> Result<History, Failed> {
        let store = OpenOptions::new(&self.url).open().await?;
        let mut received = Received { name: self.name.clone(), start: (0, 0), rows: Vec::new() };
        let wrong = match self.follow(&store, &mut received).await? {
            Ended::Over => None,
            Ended::Stuck => Some(format!(
                "{} was stuck after {} events, at {:?}",
                self.name,
                received.rows.len(),
                received.rows.last()
            )),
        };
        store.close().await?;
        Ok(History { received: vec![received], wrong: wrong.into_iter().collect(), ..History::default() })
    }

    async fn follow(&self, store: &EventStore, received: &mut Received) -> streamkeep::Result<Ended> {
        let mut pause = tokio::time::interval(Duration::from_millis(2));
        while store.head().await? < self.from_head {
            pause.tick().await;
        }
        let (start, before) =
            if self.from_head == 0 { (Start::Beginning, 0) } else { (Start::Now, store.head().await?) };
        let mut subscription = store.subscribe(SubscribeOptions { start: Some(start), ..SubscribeOptions::default() });
        let mut first = true;
        let stuck = if self.url.starts_with("mongodb") { STUCK * Backend::Mongodb.patience() } else { STUCK };
        while let Ok(item) = tokio::time::timeout(stuck, subscription.try_next()).await {
            if std::mem::take(&mut first) && start == Start::Now {
                received.start = (before, store.head().await?);
            }
            let Some(Item::Event(event)) = item? else { continue };
            received.rows.push(Row::from(&event));
            if event.event_type == OVER {
                return Ok(Ended::Over);
            }
        }
        Ok(Ended::Stuck)
    }
}

enum Ended {
    Over,
    Stuck,
}

/// Reads the head and a page all the time, as callers do that use the answers as cursors.
async fn watch_head(ground: Ground, over: CancellationToken) -> streamkeep::Result<Vec<Vec<u64>>> {
    let store = ground.open().await?;
    let (mut heads, mut cursor, mut pause) = (Vec::new(), vec![0], tokio::time::interval(Duration::from_millis(5)));
    while !over.is_cancelled() {
        heads.push(store.head().await?);
        let after = cursor.last().copied().unwrap_or_default();
        cursor.push(store.read_page(ReadPageOptions { after, ..ReadPageOptions::default() }).await?.reached);
        pause.tick().await;
    }
    store.close().await?;
    Ok(vec![heads, cursor])
}

pub async fn read_log(ground: &Ground) -> Result<Vec<Row>, Failed> {
    read_log_of(&ground.open().await?).await
}

/// The log of a store, which it closes.
pub async fn read_log_of(store: &EventStore) -> Result<Vec<Row>, Failed> {
    let rows = store.read_all(ReadAllOptions::default()).map_ok(|event| Row::from(&event)).try_collect().await?;
    store.close().await?;
    Ok(rows)
}
