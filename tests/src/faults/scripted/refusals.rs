//! A refusal that no retry can change is returned at once, with the server's words. Any other refusal ends at the
//! deadline with the last cause.

use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use mongodb::bson::{Document, doc};
use mongodb::error::TRANSIENT_TRANSACTION_ERROR;
use streamkeep::{AppendOptions, Error, ErrorKind, Event, ImportEvent, Outcome, Payload, Snapshot};
use streamkeep_tests::harness::Backend;

use super::super::cancel::in_time;
use super::super::ground::{Ground, case};
use super::super::proxy::{Action, refusal};
use super::{Proxied, place};

/// Refusals that last until an administrator acts: a full disk, blocked writes, an exceeded quota.
const LASTING: [(i32, &str); 3] =
    [(14_031, "no space left on this device"), (371, "User writes blocked"), (8_000, "you are over your space quota")];
/// The timeout of the calls, of which they need a small part.
const DEADLINE: Duration = Duration::from_secs(20);
const AT_ONCE: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(1);

pub fn trials() -> Vec<Trial> {
    vec![
        case("refusals::a_permanent_refusal_is_answered_at_once", Backend::Mongodb, lasting),
        case("refusals::an_error_at_the_deadline_names_the_last_cause", Backend::Mongodb, last_cause),
    ]
}

fn worded(code: i32, words: &str) -> Document {
    doc! { "ok": 0.0, "errmsg": words, "code": code, "codeName": "Scripted" }
}

fn check(what: &str, began: Instant, words: &str, error: Option<Error>) -> Result<(), Failed> {
    let error = error.ok_or_else(|| format!("{what} must fail, because the server refuses it"))?;
    let result = matches!(error.kind(), ErrorKind::Unavailable) && error.to_string().contains(words);
    if !result || error.outcome() != Outcome::NotApplied || began.elapsed() > AT_ONCE {
        return Err(format!("{what} ended after {:?} with {error:?}", began.elapsed()).into());
    }
    Ok(())
}

async fn lasting(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    let (store, script) = (proxied.options().timeout(DEADLINE).open().await?, proxied.proxy.script());
    let event = || Event::json_text("Happened", "{}");
    store.append("s", vec![event()], 0).await?;
    for (code, words) in LASTING {
        for command in ["update", "insert"] {
            script.order(command, place(command), u64::MAX, Action::Abort(worded(code, words)));
            let began = Instant::now();
            let result = in_time("an append", store.append("s", vec![event()], AppendOptions::default())).await?;
            check(&format!("an append whose {command} met {code}"), began, words, result.err())?;
            let import = ImportEvent { stream: "t".to_owned(), version: None, recorded_at: None, event: event() };
            let result = in_time("an import", store.import_events(vec![import])).await?;
            check(&format!("an import whose {command} met {code}"), began, words, result.err())?;
            script.clear();
        }
        script.order("update", ".snapshots", u64::MAX, Action::Answer(worded(code, words)));
        let (began, data) = (Instant::now(), Payload::Json("{}".to_owned()));
        let snapshot = Snapshot { stream: "s".to_owned(), version: 1, schema: "v1".to_owned(), data };
        let result = in_time("a snapshot", store.save_snapshot(snapshot)).await?;
        check(&format!("a snapshot that met {code}"), began, words, result.err())?;
        script.clear();
    }
    Ok(store.close().await?)
}

/// The server refuses every attempt until the append's deadline.
async fn last_cause(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    let (store, script) = (proxied.open().await?, proxied.proxy.script());
    for (n, command) in ["update", "insert"].into_iter().enumerate() {
        let labels = [TRANSIENT_TRANSACTION_ERROR];
        script.order(command, place(command), u64::MAX, Action::Abort(refusal(10_107, &labels)));
        let (began, stream) = (Instant::now(), format!("s-{n}"));
        let options = AppendOptions { timeout: Some(SOON), ..AppendOptions::default() };
        let result =
            in_time("an append", store.append(&stream, vec![Event::json_text("Happened", "{}")], options)).await?;
        check(&format!("an append whose {command} was always refused"), began, "refused by the script", result.err())?;
        script.clear();
    }
    Ok(store.close().await?)
}
