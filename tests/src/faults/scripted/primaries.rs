//! A server that is no longer the primary: reads and appends are retried, and nothing is stored twice.

use futures::future::try_join_all;
use libtest_mimic::{Failed, Trial};
use streamkeep::ReadPageOptions;
use streamkeep_tests::harness::Backend;

use super::super::cancel::in_time;
use super::super::ground::{Ground, case};
use super::super::history::{Expected, History};
use super::super::proxy::{Action, refusal};
use super::{Proxied, done, draft, place};

/// Not the primary, stepping down, no primary here, shutting down.
const CODES: [i32; 4] = [10_107, 189, 13_435, 91];
/// Commands of reads, of appends, of hints and of the driver's own.
const COMMANDS: [&str; 8] =
    ["find", "getMore", "update", "insert", "commitTransaction", "aggregate", "hello", "isMaster"];
/// The driver sends a command once more by itself, so one retry of the store is the third time.
const TIMES: u64 = 3;

pub fn trials() -> Vec<Trial> {
    vec![case("primaries::calls_that_a_former_primary_refuses_are_retried", Backend::Mongodb, deposed)]
}

async fn deposed(ground: Ground) -> Result<(), Failed> {
    try_join_all(COMMANDS.map(|command| refused(&ground, command))).await.map(drop)
}

async fn refused(ground: &Ground, command: &'static str) -> Result<(), Failed> {
    let proxied = Proxied::new(ground).await?;
    let namespace = command.to_ascii_lowercase();
    let (store, script, mut history) =
        (proxied.options().namespace(namespace.as_str()).open().await?, proxied.proxy.script(), History::default());
    // A live subscription, so that there is a change stream.
    let mut follow = store.subscribe(streamkeep::SubscribeOptions::default());
    let (mut written, mut given) = (0, 0);
    for code in CODES {
        for labels in [&["RetryableWriteError"][..], &[]] {
            let action = refusal(code, labels);
            let action = if matches!(command, "update" | "insert" | "commitTransaction") {
                Action::Abort(action)
            } else {
                Action::Answer(action)
            };
            script.order(command, place(command), TIMES, action);
            let why = |wrong: Failed| -> Failed {
                format!("{command} was answered {code}: {}", wrong.message().unwrap_or_default()).into()
            };
            done(&store, &draft(&format!("s-{written}"), Expected::NoStream), &mut history).await.map_err(why)?;
            written += 2;
            let page = in_time("a page", store.read_page(ReadPageOptions::default()))
                .await?
                .map_err(|error| why(error.into()))?;
            if page.events.len() != written {
                return Err(format!(
                    "{command} was answered {code}, and the log holds {} events of {written}",
                    page.events.len()
                )
                .into());
            }
            while given < written {
                given += in_time("a subscription", follow.next_batch())
                    .await?
                    .map_err(|error| why(error.into()))?
                    .map_or(0, |batch| batch.events.len());
            }
            script.clear();
        }
    }
    drop(follow);
    if given != written {
        return Err(format!("{command}: of {written} events a subscriber got {given}").into());
    }
    store.close().await?;
    Ok(())
}
