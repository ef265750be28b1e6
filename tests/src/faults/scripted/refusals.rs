//! Refusals that no waiting changes are answered at once, with the server's words; others tell the last cause at the
//! deadline.

use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use mongodb::bson::{Document, doc};
use mongodb::error::TRANSIENT_TRANSACTION_ERROR;
use streamkeep::{AppendOptions, Error, ErrorKind, Event, ImportEvent, Outcome, Payload, Snapshot};
use streamkeep_tests::harness::Backend;

use super::super::cancel::in_time;
use super::super::ground::{Ground, case};
use super::super::proxy::{Deed, refusal};
use super::{Stage, place};

/// What only an administrator ends: a full disk, blocked writes, a quota that is used up.
const LASTING: [(i32, &str); 3] =
    [(14_031, "no space left on this device"), (371, "User writes blocked"), (8_000, "you are over your space quota")];
/// A call may take this long; much less is expected.
const DEADLINE: Duration = Duration::from_secs(20);
const AT_ONCE: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(1);

pub fn trials() -> Vec<Trial> {
    vec![
        case("refusals::what_waiting_cannot_help_is_answered_at_once", Backend::Mongodb, lasting),
        case("refusals::a_deadline_tells_the_last_cause", Backend::Mongodb, last_cause),
    ]
}

fn worded(code: i32, words: &str) -> Document {
    doc! { "ok": 0.0, "errmsg": words, "code": code, "codeName": "Scripted" }
}

fn check(what: &str, began: Instant, words: &str, error: Option<Error>) -> Result<(), Failed> {
    let error = error.ok_or_else(|| format!("{what}, which the server refuses, was said to be done"))?;
    let told = matches!(error.kind(), ErrorKind::Unavailable) && error.to_string().contains(words);
    if !told || error.outcome() != Outcome::NotApplied || began.elapsed() > AT_ONCE {
        return Err(format!("{what} was answered after {:?}: {error:?}", began.elapsed()).into());
    }
    Ok(())
}

async fn lasting(ground: Ground) -> Result<(), Failed> {
    let stage = Stage::set(&ground).await?;
    let (store, script) = (stage.options().timeout(DEADLINE).open().await?, stage.proxy.script());
    let event = || Event::json_text("Happened", "{}");
    store.append("s", vec![event()], 0).await?;
    for (code, words) in LASTING {
        for command in ["update", "insert"] {
            script.order(command, place(command), u64::MAX, Deed::Abort(worded(code, words)));
            let began = Instant::now();
            let told = in_time("an append", store.append("s", vec![event()], AppendOptions::default())).await?;
            check(&format!("an append whose {command} met {code}"), began, words, told.err())?;
            let import = ImportEvent { stream: "t".to_owned(), version: None, recorded_at: None, event: event() };
            let told = in_time("an import", store.import_events(vec![import])).await?;
            check(&format!("an import whose {command} met {code}"), began, words, told.err())?;
            script.clear();
        }
        script.order("update", ".snapshots", u64::MAX, Deed::Answer(worded(code, words)));
        let (began, data) = (Instant::now(), Payload::Json("{}".to_owned()));
        let snapshot = Snapshot { stream: "s".to_owned(), version: 1, schema: "v1".to_owned(), data };
        let told = in_time("a snapshot", store.save_snapshot(snapshot)).await?;
        check(&format!("a snapshot that met {code}"), began, words, told.err())?;
        script.clear();
    }
    Ok(store.close().await?)
}

/// A server that refuses every attempt, for as long as the append may take.
async fn last_cause(ground: Ground) -> Result<(), Failed> {
    let stage = Stage::set(&ground).await?;
    let (store, script) = (stage.open().await?, stage.proxy.script());
    for (n, command) in ["update", "insert"].into_iter().enumerate() {
        let labels = [TRANSIENT_TRANSACTION_ERROR];
        script.order(command, place(command), u64::MAX, Deed::Abort(refusal(10_107, &labels)));
        let (began, stream) = (Instant::now(), format!("s-{n}"));
        let options = AppendOptions { timeout: Some(SOON), ..AppendOptions::default() };
        let told =
            in_time("an append", store.append(&stream, vec![Event::json_text("Happened", "{}")], options)).await?;
        check(&format!("an append whose {command} was always refused"), began, "so it says in the script", told.err())?;
        script.clear();
    }
    Ok(store.close().await?)
}
