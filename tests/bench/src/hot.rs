//! What contended streams and open transactions cost the appends to other streams.
//!
//! `streamkeep-bench URL --hot`, on Postgres. The namespaces stay behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;
use sqlx::{Connection, PgConnection};
use streamkeep::{Event, EventStore, ExpectedVersion, OpenOptions};

const CALLERS: u64 = 32;
const TIME: Duration = Duration::from_secs(3);
const LONE_APPENDS: usize = 101;

pub(crate) async fn print(url: &str, run: &str) -> Result<()> {
    for streams in [0, 1, 2, 4] {
        let rate = beside_hot_streams(url, &format!("hot_{run}_{streams}"), streams).await?;
        println!("{streams} hot streams shared by two stores: {rate:.0} other appends/s");
    }
    for streams in [0, 5, 50] {
        let median = beside_a_transaction(url, &format!("held_{run}_{streams}"), streams).await?;
        println!("an open transaction over {streams} streams: {median:.1?} for an append to another");
    }
    Ok(())
}

async fn open(url: &str, namespace: &str) -> Result<EventStore> {
    Ok(OpenOptions::new(url).namespace(namespace).open().await?)
}

async fn append(store: &EventStore, stream: String) -> Result<()> {
    store.append(stream, [Event::json_text("Happened", "{}")], ExpectedVersion::Any).await?;
    Ok(())
}

/// Appends a second to streams that are not contended.
async fn beside_hot_streams(url: &str, namespace: &str, streams: u64) -> Result<f64> {
    let stores = [open(url, namespace).await?, open(url, namespace).await?];
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
    let hot = stores.iter().flat_map(|store| (0..streams).map(move |n| (store, n)));
    let hot = hot.map(|(store, n)| caller(store, format!("hot-{n}"), false));
    let callers: Vec<_> = others.chain(hot).collect();
    tokio::time::sleep(TIME / 3).await;
    let (before, began) = (appended.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(TIME).await;
    let rate = (appended.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    for caller in try_join_all(callers).await? {
        caller?;
    }
    for store in stores {
        store.close().await?;
    }
    Ok(rate)
}

/// The median of appends to a free stream while others wait for an open transaction.
async fn beside_a_transaction(url: &str, namespace: &str, streams: u64) -> Result<Duration> {
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
    took.sort();
    Ok(took[LONE_APPENDS / 2])
}
