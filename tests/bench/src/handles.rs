//! What it costs to divide the same callers among several handles of one database.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;
use streamkeep::{EventStore, ExpectedVersion, OpenOptions};

use crate::face::event;
use crate::figures::{Figure, median, rate};
use crate::workload::Workload;

/// The numbers of handles; the first is the base of the ratios.
const HANDLES: [usize; 3] = [1, 2, 4];

/// Measures and prints handles on one namespace, and handles that each have a namespace.
pub(crate) async fn print(url: &str, run: &str, workload: &'static Workload, rounds: u32) -> Result<()> {
    for (title, apart) in [("handles of one namespace", false), ("handles, each of its own namespace", true)] {
        let mut rates = HANDLES.map(|_| Vec::new());
        let mut slowest = HANDLES.map(|_| Duration::ZERO);
        for round in 0..rounds {
            for ((handles, rates), slowest) in HANDLES.into_iter().zip(&mut rates).zip(&mut slowest) {
                let namespace = format!("bench_{run}_{round}_{handles}_{apart}");
                let stores = open(url, &namespace, handles, apart).await?;
                let (rate, longest) = spread_over(&stores, workload).await?;
                rates.push(rate);
                *slowest = longest.max(*slowest);
                for store in stores {
                    store.close().await?;
                }
            }
        }
        let (first, _) = median(&rates[0]);
        println!("| {title} | appends/s of {} callers | of the first | slowest |\n|---|---|---|---|", workload.callers);
        for ((handles, rates), slowest) in HANDLES.iter().zip(&rates).zip(slowest) {
            let (rate, spread) = median(rates);
            println!("| {handles} | {rate:.0} ±{spread:.0} % | {:.2} | {slowest:.1?} |", rate / first);
        }
        println!();
    }
    Ok(())
}

async fn open(url: &str, namespace: &str, handles: usize, apart: bool) -> Result<Vec<EventStore>> {
    let mut stores = Vec::new();
    for number in 0..handles {
        let namespace = if apart { format!("{namespace}_{number}") } else { namespace.to_owned() };
        stores.push(OpenOptions::new(url).namespace(namespace).open().await?);
    }
    Ok(stores)
}

/// Each caller uses one of the handles and its own stream: appends per second, and the longest append.
async fn spread_over(stores: &[EventStore], workload: &'static Workload) -> Result<(Figure, Duration)> {
    let started = Instant::now();
    let callers = (0..workload.callers).zip(stores.iter().cycle()).map(|(caller, store)| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            for version in 0..u64::from(workload.appends_per_caller) {
                let began = Instant::now();
                store.append(format!("caller-{caller}"), [event(workload)], ExpectedVersion::Exact(version)).await?;
                longest = longest.max(began.elapsed());
            }
            Ok::<_, streamkeep::Error>(longest)
        })
    });
    let mut longest = Duration::ZERO;
    for caller in try_join_all(callers.collect::<Vec<_>>()).await? {
        longest = longest.max(caller?);
    }
    Ok((rate(workload.callers * workload.appends_per_caller, started), longest))
}
