//! What hot streams and open transactions cost the appends to other streams.
//!
//! On Postgres only. The namespaces stay in the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;
use sqlx::{Connection, PgConnection};
use streamkeep::{Event, EventStore, ExpectedVersion, OpenOptions};

use crate::figures::{Figure, median, median_micros, rate};

const CALLERS: u64 = 32;
const TIME: Duration = Duration::from_secs(3);
const LONE_APPENDS: usize = 101;

/// The numbers of hot streams, which both stores write; the first is the base of the ratios.
const HOT_STREAMS: [u64; 4] = [0, 1, 2, 4];
/// The numbers of streams that an open transaction locks.
const HELD_STREAMS: [u64; 3] = [0, 5, 50];

/// Measures and prints the tables.
pub(crate) async fn print(url: &str, run: &str, rounds: u32) -> Result<()> {
    let [mut rates, mut uncontended] = [(); 2].map(|()| HOT_STREAMS.map(|_| Vec::new()));
    let mut latencies = HELD_STREAMS.map(|_| Vec::new());
    for round in 0..rounds {
        for (streams, (rates, uncontended)) in HOT_STREAMS.into_iter().zip(rates.iter_mut().zip(&mut uncontended)) {
            let namespace = |kind: &str| format!("bench_{run}_{round}_{kind}_{streams}");
            rates.push(beside_hot_streams(url, &namespace("hot"), streams, true).await?);
            uncontended.push(beside_hot_streams(url, &namespace("own"), streams, false).await?);
        }
        for (streams, latencies) in HELD_STREAMS.into_iter().zip(&mut latencies) {
            latencies.push(beside_a_transaction(url, &format!("bench_{run}_{round}_held_{streams}"), streams).await?);
        }
    }
    println!("| streams that two stores write | other appends/s | of the first |\n|---|---|---|");
    print_rows(&HOT_STREAMS, &rates);
    println!("\n| streams that each store has to itself | other appends/s | of the first |\n|---|---|---|");
    print_rows(&HOT_STREAMS, &uncontended);
    println!("\n| streams of an open transaction | an append to another (us) | of the first |\n|---|---|---|");
    print_rows(&HELD_STREAMS, &latencies);
    Ok(())
}

fn print_rows(counts: &[u64], figures: &[Vec<Figure>]) {
    let (first, _) = median(&figures[0]);
    for (count, figures) in counts.iter().zip(figures) {
        let (figure, spread) = median(figures);
        println!("| {count} | {figure:.0} ±{spread:.0} % | {:.2} |", figure / first);
    }
}

async fn open(url: &str, namespace: &str) -> Result<EventStore> {
    Ok(OpenOptions::new(url).namespace(namespace).open().await?)
}

/// Opens a store that shares nothing with the one of [`open`], like a store of another process.
async fn open_apart(url: &str, namespace: &str) -> Result<EventStore> {
    let separator = if url.contains('?') { '&' } else { '?' };
    open(&format!("{url}{separator}application_name=second"), namespace).await
}

async fn append(store: &EventStore, stream: String) -> Result<()> {
    store.append(stream, [Event::json_text("Happened", "{}")], ExpectedVersion::Any).await?;
    Ok(())
}

/// The rate of appends to streams that no other caller writes, per second. Two stores write the others: the same ones,
/// or each store its own, which shows what their load alone costs.
async fn beside_hot_streams(url: &str, namespace: &str, streams: u64, shared: bool) -> Result<Figure> {
    let stores = [open(url, namespace).await?, open_apart(url, namespace).await?];
    let (over, appended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let caller = |store: &EventStore, stream: String, counts: bool| {
        let (store, over, appended) = (store.clone(), Arc::clone(&over), Arc::clone(&appended));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                append(&store, stream.clone()).await?;
                appended.fetch_add(u64::from(counts), Ordering::Relaxed);
            }
            anyhow::Ok(())
        })
    };
    let others = (0..CALLERS).map(|n| caller(&stores[0], format!("other-{n}"), true));
    let hot = stores.iter().enumerate().flat_map(|(place, store)| (0..streams).map(move |n| (place, store, n)));
    let hot = hot.map(|(place, store, n)| caller(store, format!("hot-{n}-{}", if shared { 0 } else { place }), false));
    let callers: Vec<_> = others.chain(hot).collect();
    tokio::time::sleep(TIME / 3).await;
    let (before, began) = (appended.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(TIME).await;
    let rate = rate(u32::try_from(appended.load(Ordering::Relaxed) - before)?, began);
    over.store(true, Ordering::Relaxed);
    for caller in try_join_all(callers).await? {
        caller?;
    }
    for store in stores {
        store.close().await?;
    }
    Ok(rate)
}

/// The median latency of appends to a free stream while others wait for an open transaction.
async fn beside_a_transaction(url: &str, namespace: &str, streams: u64) -> Result<Figure> {
    let (store, mut connection) = (open(url, namespace).await?, PgConnection::connect(url).await?);
    let mut transaction = connection.begin_with("begin isolation level read committed").await?;
    for n in 0..streams {
        let event = [Event::json_text("Happened", "{}")];
        store.append_in(&mut transaction, format!("held-{n}"), event, ExpectedVersion::Any).await?;
    }
    let held: Vec<_> = (0..streams)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { append(&store, format!("held-{n}")).await })
        })
        .collect();
    let mut took = Vec::new();
    for _ in 0..LONE_APPENDS {
        let began = Instant::now();
        append(&store, "free".to_owned()).await?;
        took.push(began.elapsed());
    }
    transaction.rollback().await?;
    for append in try_join_all(held).await? {
        append?;
    }
    store.close().await?;
    Ok(median_micros(&mut took))
}
