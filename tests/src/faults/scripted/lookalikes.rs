//! Servers that only resemble MongoDB are refused, and the error names them.

use libtest_mimic::{Failed, Trial};
use mongodb::bson::{Bson, DateTime, Document, doc};
use streamkeep::{ErrorKind, Event, ExpectedVersion, ImportEvent, OpenOptions, ReadPageOptions};
use streamkeep_tests::harness::Backend;

use super::super::cancel::in_time;
use super::super::ground::{Ground, case};
use super::super::proxy::{Action, refusal};
use super::Proxied;
use super::opening::refused;

pub fn trials() -> Vec<Trial> {
    vec![
        case("lookalikes::a_server_that_keeps_aborted_writes_is_refused", Backend::Mongodb, keeps_aborted),
        case("lookalikes::a_server_without_the_current_time_is_refused", Backend::Mongodb, without_time),
        case("lookalikes::a_server_whose_indexes_are_not_unique_is_refused", Backend::Mongodb, without_uniqueness),
        case("lookalikes::a_server_whose_change_streams_have_no_cursor_is_refused", Backend::Mongodb, without_cursor),
        case("lookalikes::a_server_is_checked_once_for_a_database", Backend::Mongodb, checked_once),
    ]
}

type Change = fn(&Proxied);

/// A server that answers wrongly is refused at open. If opening may not write, it is refused before the first write.
async fn refused_everywhere(ground: &Ground, words: &str, change: Change) -> Result<(), Failed> {
    // The error says which server it is.
    let words = [words, "it calls itself MongoDB "];
    let happened = || Event::json_text("Happened", "{}");
    let real = ground.open().await?;
    let before = real.append("s", [happened()], ExpectedVersion::Any).await?;
    real.close().await?;

    let at_open = Proxied::new(ground).await?;
    change(&at_open);
    refused("the server", at_open.options(), &words).await?;

    let uncreated = Proxied::new(ground).await?;
    change(&uncreated);
    refuses_to_write(uncreated.options().create(false), &words).await?;

    let unprivileged = Proxied::new(ground).await?;
    unprivileged.proxy.script().order("createIndexes", ".server_check", u64::MAX, Action::Answer(refusal(13, &[])));
    change(&unprivileged);
    refuses_to_write(unprivileged.options(), &words).await?;

    // Nothing was written, and the checks left nothing behind.
    let real = ground.open().await?;
    let after = real.append("s", [happened()], ExpectedVersion::Any).await?;
    real.close().await?;
    if after.position != before.position + 1 {
        return Err(format!("events were written between {} and {}", before.position, after.position).into());
    }
    let database =
        mongodb::Client::with_uri_str(&ground.url).await?.default_database().ok_or("the URL names a database")?;
    for name in ["streamkeep.server_check", "streamkeep.default.snapshots"] {
        let left = database.collection::<Document>(name).count_documents(doc! {}).await?;
        if left > 0 {
            return Err(format!("{name} has {left} documents").into());
        }
    }
    Ok(())
}

/// A store that can be opened and read, and that refuses every write.
async fn refuses_to_write(options: OpenOptions, words: &[&str]) -> Result<(), Failed> {
    let store = in_time("opening", options.open()).await??;
    let happened = || Event::json_text("Happened", "{}");
    let appended = in_time("an append", store.append("s", [happened()], ExpectedVersion::Any)).await?;
    let import = ImportEvent { stream: "t".into(), version: None, recorded_at: None, event: happened() };
    let imported = in_time("an import", store.import_events([import])).await?;
    for (what, error) in [("an append", appended.err()), ("an import", imported.err())] {
        let expected = error.as_ref().is_some_and(|error| {
            matches!(error.kind(), ErrorKind::Config) && words.iter().all(|words| error.to_string().contains(words))
        });
        if !expected {
            return Err(format!("{what} returned {error:?}").into());
        }
    }
    in_time("a page", store.read_page(ReadPageOptions::default())).await??;
    Ok(store.close().await?)
}

async fn keeps_aborted(ground: Ground) -> Result<(), Failed> {
    refused_everywhere(&ground, "aborted", |proxied| proxied.proxy.script().always("abortTransaction", Action::Commit))
        .await
}

async fn without_time(ground: Ground) -> Result<(), Failed> {
    // First the name of the variable as text, then a time that never changes.
    refused_everywhere(&ground, "$$NOW", |proxied| answer_time(proxied, "$$NOW")).await?;
    refused_everywhere(&ground, "$$NOW", |proxied| answer_time(proxied, DateTime::from_millis(0))).await
}

fn answer_time(proxied: &Proxied, time: impl Into<Bson>) {
    let time = time.into();
    let change = move |answer: &mut Document| {
        if let Ok(written) = answer.get_document_mut("value") {
            written.insert("at", time.clone());
        }
    };
    proxied.proxy.script().always("findAndModify", Action::edit(change));
}

async fn without_uniqueness(ground: Ground) -> Result<(), Failed> {
    refused_everywhere(&ground, "unique", |proxied| {
        // The check inserts a value twice; it inserts no event.
        for place in [".server_check", ".snapshots"] {
            proxied.proxy.script().order("insert", place, u64::MAX, Action::Answer(doc! { "ok": 1.0, "n": 2 }));
        }
    })
    .await
}

async fn without_cursor(ground: Ground) -> Result<(), Failed> {
    refused_everywhere(&ground, "change stream", |proxied| {
        let nothing = doc! { "firstBatch": [], "id": 0_i64, "ns": "x.$cmd.aggregate" };
        proxied.proxy.script().always("aggregate", Action::Answer(doc! { "ok": 1.0, "cursor": nothing }));
    })
    .await
}

/// Further namespaces, handles and writes of a process cost no check.
async fn checked_once(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    let mut stores = Vec::new();
    for namespace in ["a", "b", "a"] {
        let store = proxied.options().namespace(namespace).open().await?;
        store.append("s", [Event::json_text("Happened", "{}")], ExpectedVersion::Any).await?;
        stores.push(store);
    }
    let checks = proxied.proxy.script().count("findAndModify");
    for store in stores {
        store.close().await?;
    }
    if checks == 1 { Ok(()) } else { Err(format!("the server was checked {checks} times").into()) }
}
