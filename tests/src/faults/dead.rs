//! Writers that die in a transaction while they hold the lock that other writers need.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use mongodb::bson::{Bson, DateTime, doc};
use mongodb::{Client, ClientSession};
use streamkeep::Event;
use streamkeep_tests::harness::Backend;

use super::cancel::{conclude, in_time};
use super::ground::{Ground, case};
use super::history::{Expected, History};
use super::writers::Draft;

pub fn trials() -> Vec<Trial> {
    vec![case("dead::appends_do_not_wait_for_a_writer_that_died_in_its_transaction", Backend::Mongodb, dead_writer)]
}

/// The server would keep the transaction open for a minute. Another writer finds that the session was not seen for
/// long and ends it, and the events of its transaction are gone.
async fn dead_writer(ground: Ground) -> Result<(), Failed> {
    let (store, mut history) = (ground.open().await?, History::default());
    let before =
        Draft { stream: "s-1".into(), expected: Expected::NoStream, events: vec![Event::json_text("Before", "{}")] };
    history.attempts.push(before.append(&store).await.0);
    let dead = transaction_of_a_dead_writer(&ground).await?;
    let draft =
        Draft { stream: "s-2".into(), expected: Expected::NoStream, events: vec![Event::json_text("Happened", "{}")] };
    let (attempt, _, wrong) = in_time("an append behind a writer that died", draft.append(&store)).await?;
    history.attempts.push(attempt);
    history.wrong.extend(wrong);
    drop(dead);
    conclude("a writer that died", &ground, &store, &history, 0).await
}

/// Leaves what a process that is killed in its transaction leaves: a session that is registered as a writer and was
/// not seen for a while, with the log's head changed and an event written.
async fn transaction_of_a_dead_writer(ground: &Ground) -> Result<ClientSession, Failed> {
    let client = Client::with_uri_str(&ground.url).await?;
    let database = client.default_database().ok_or("the URL names a database")?;
    let collection = |name: &str| database.collection::<mongodb::bson::Document>(&format!("streamkeep.default.{name}"));
    let mut session = client.start_session().await?;
    let id = session.id().get("id").cloned().unwrap_or(Bson::Null);
    let seen = DateTime::from_millis(DateTime::now().timestamp_millis() - Duration::from_secs(60).as_millis() as i64);
    collection("writers").insert_one(doc! { "_id": id, "seen": seen }).await?;
    session.start_transaction().await?;
    let taken = doc! { "$inc": { "position": 1_i64 } };
    collection("heads").update_one(doc! { "_id": "" }, taken).session(&mut session).await?;
    let half = doc! { "_id": "half", "position": 2_i64, "stream": "s-1", "version": 2_i64 };
    collection("events").insert_one(half).session(&mut session).await?;
    Ok(session)
}
