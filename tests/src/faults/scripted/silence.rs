//! A server that falls silent, as after a failover of the network: reads come back on new connections soon.

use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use streamkeep::{Event, ReadPageOptions};
use streamkeep_tests::harness::Backend;
use tokio::time::sleep;

use super::super::cancel::in_time;
use super::super::ground::{Ground, case};
use super::Stage;

/// How long the server stays silent: the reads have been sent by then.
const SILENCE: Duration = Duration::from_millis(200);
/// Two seconds are expected. With the driver's own settings it takes ten, or for ever.
const MOST: Duration = Duration::from_secs(4);

pub fn trials() -> Vec<Trial> {
    vec![case("silence::reads_come_back_soon", Backend::Mongodb, silent)]
}

async fn silent(ground: Ground) -> Result<(), Failed> {
    let stage = Stage::set(&ground).await?;
    let store = stage.open().await?;
    store.append("s", vec![Event::json_text("Happened", "{}")], 0).await?;
    let mut slowest = Duration::ZERO;
    for _ in 0..2 {
        stage.proxy.darken();
        let began = Instant::now();
        let reads = futures::future::try_join_all((0..4).map(|_| store.read_page(ReadPageOptions::default())));
        let lighten = async {
            sleep(SILENCE).await;
            stage.proxy.lighten();
        };
        let (pages, ()) = in_time("reads", async { tokio::join!(reads, lighten) }).await?;
        slowest = slowest.max(began.elapsed());
        if pages?.iter().any(|page| page.events.len() != 1) || slowest > MOST {
            return Err(format!("after {SILENCE:?} of silence, reads came back after {slowest:?}").into());
        }
    }
    println!("silence: reads came back after at most {slowest:?}");
    Ok(store.close().await?)
}
