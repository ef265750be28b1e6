//! A server that falls silent, as after a network failover: reads soon succeed on new connections.

use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use streamkeep::{Event, ReadPageOptions};
use streamkeep_tests::harness::Backend;
use tokio::time::sleep;

use super::super::cancel::in_time;
use super::super::ground::{Ground, case};
use super::Proxied;

/// How long the server is silent: long enough for every read to be sent.
const SILENCE: Duration = Duration::from_millis(200);
/// Two seconds are expected. With the driver's defaults it takes ten, or never ends.
const MOST: Duration = Duration::from_secs(4);

pub fn trials() -> Vec<Trial> {
    vec![case("silence::reads_succeed_soon_after_a_silence", Backend::Mongodb, silent)]
}

async fn silent(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    let store = proxied.open().await?;
    store.append("s", vec![Event::json_text("Happened", "{}")], 0).await?;
    let mut slowest = Duration::ZERO;
    for _ in 0..2 {
        proxied.proxy.fall_silent();
        let began = Instant::now();
        let reads = futures::future::try_join_all((0..4).map(|_| store.read_page(ReadPageOptions::default())));
        let end_silence = async {
            sleep(SILENCE).await;
            proxied.proxy.end_silence();
        };
        let (pages, ()) = in_time("reads", async { tokio::join!(reads, end_silence) }).await?;
        slowest = slowest.max(began.elapsed());
        if pages?.iter().any(|page| page.events.len() != 1) || slowest > MOST {
            return Err(format!("after {SILENCE:?} of silence, reads took {slowest:?}").into());
        }
    }
    println!("silence: reads took at most {slowest:?}");
    Ok(store.close().await?)
}
