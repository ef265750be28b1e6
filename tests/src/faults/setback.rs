//! A database that is set back under an open store, as by a restored backup or a failover that loses commits.

use futures::TryStreamExt;
use libtest_mimic::{Failed, Trial};
use mongodb::bson::{Document, doc};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use streamkeep::{
    Direction, ErrorKind, Event, EventStore, ExpectedVersion, ReadAllOptions, ReadPageOptions, SubscribeOptions,
};
use streamkeep_tests::harness::Backend;

use super::cancel::in_time;
use super::ground::{Ground, case, command};

pub fn trials() -> Vec<Trial> {
    let ahead = [Backend::Sqlite, Backend::Postgres, Backend::Mongodb]
        .map(|kind| case("setback::a_cursor_above_the_log_is_a_checkpoint_ahead", kind, cursors));
    let skipped = case("setback::a_reader_skips_nothing_written_after_a_set_back", Backend::Postgres, nothing_skipped);
    ahead.into_iter().chain([skipped]).collect()
}

fn events(count: usize) -> Vec<Event> {
    (0..count).map(|_| Event::json_text("Happened", "{}")).collect()
}

/// Writes 100 events and reads them. Returns the positions of the 80th and of the last.
async fn fill(store: &EventStore) -> Result<(u64, u64), Failed> {
    let kept = store.append("kept", events(80), ExpectedVersion::Any).await?.position;
    let lost = store.append("lost", events(20), ExpectedVersion::Any).await?.position;
    let read: Vec<_> = store.read_all(ReadAllOptions::default()).try_collect().await?;
    if (read.len(), store.head().await?) != (100, lost) {
        return Err(format!("{} events were read, the head is {}", read.len(), store.head().await?).into());
    }
    Ok((kept, lost))
}

/// Deletes every event above a position, and ends all sessions where there are any.
async fn set_back(ground: &Ground, kept: u64) -> Result<(), Failed> {
    match ground.kind {
        Backend::Memory => return Err("a memory store cannot be set back".into()),
        Backend::Sqlite => {
            let file = ground.url.trim_start_matches("sqlite:");
            let mut file = SqliteConnectOptions::new().filename(file).connect().await?;
            let sql = format!(
                "DROP TRIGGER streamkeep_default_events_stay; DELETE FROM streamkeep_default_events WHERE position > {kept}"
            );
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut file).await?;
            file.close().await?;
        }
        Backend::Postgres => {
            let sql = format!(
                "alter table streamkeep_default.events disable trigger all; \
                 delete from streamkeep_default.events where position > {kept}; \
                 alter table streamkeep_default.events enable trigger all; \
                 select setval('streamkeep_default.positions', {kept}); \
                 select pg_terminate_backend(pid) from pg_stat_activity \
                 where datname = current_database() and pid <> pg_backend_pid()"
            );
            command(&ground.url, sql).await?;
        }
        Backend::Mongodb => {
            let client = mongodb::Client::with_uri_str(&ground.url).await?;
            let database = client.default_database().ok_or("the URL names a database")?;
            let collection = |name: &str| database.collection::<Document>(&format!("streamkeep.default.{name}"));
            let kept = i64::try_from(kept)?;
            collection("events").delete_many(doc! { "position": { "$gt": kept } }).await?;
            collection("heads").update_one(doc! { "_id": "" }, doc! { "$set": { "position": kept } }).await?;
        }
    }
    Ok(())
}

/// Every read that begins above the log is refused, whether its cursor is the position of a deleted event or higher.
/// A live subscription is refused too.
async fn cursors(ground: Ground) -> Result<(), Failed> {
    let store = ground.open().await?;
    let mut live = store.subscribe(SubscribeOptions::default());
    let (kept, lost) = fill(&store).await?;
    let mut given = 0;
    while given < 100 {
        given += in_time("a live subscription", live.next_batch()).await??.map_or(0, |batch| batch.events.len());
    }
    set_back(&ground, kept).await?;
    for after in [kept + 1, lost, lost + 50] {
        let result = in_time("a page", store.read_page(ReadPageOptions { after, ..Default::default() })).await?;
        ahead("read_page", after, result)?;
        for (before, direction) in
            [(None, Direction::Forward), (Some(after + 2), Direction::Forward), (None, Direction::Backward)]
        {
            let mut read = store.read_all(ReadAllOptions { after, before, direction, ..Default::default() });
            ahead("read_all", after, in_time("a read", read.next_page()).await?)?;
        }
        let mut follow = store.subscribe(SubscribeOptions { after: Some(after), ..Default::default() });
        ahead("subscribe", after, in_time("a subscription", follow.next_batch()).await?)?;
    }
    let result = loop {
        match in_time("a subscription that was live", live.next_batch()).await? {
            Ok(Some(batch)) if batch.events.is_empty() => {}
            result => break result,
        }
    };
    ahead("a live subscription", lost, result)?;
    let page = store.read_page(ReadPageOptions { after: kept, ..Default::default() }).await?;
    if (page.events.len(), page.reached, page.caught_up) != (0, kept, true) {
        return Err(format!("a page at the end of the log was {page:?}").into());
    }
    Ok(store.close().await?)
}

fn ahead<T: std::fmt::Debug>(what: &str, after: u64, result: streamkeep::Result<T>) -> Result<(), Failed> {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::CheckpointAhead { checkpoint, .. } if *checkpoint == after) => {
            Ok(())
        }
        result => Err(format!("{what} after {after} returned {result:?}").into()),
    }
}

/// Positions that the store knew as settled are drawn again and no longer are: an open writer holds readers back.
async fn nothing_skipped(ground: Ground) -> Result<(), Failed> {
    let store = ground.open().await?;
    let (kept, _) = fill(&store).await?;
    set_back(&ground, kept).await?;
    let mut own = PgConnection::connect(&ground.url).await?;
    let mut transaction = own.begin().await?;
    store.append_in(&mut transaction, "slow", events(1), ExpectedVersion::Any).await?;
    store.append("fast", events(1), ExpectedVersion::Any).await?;
    let page = store.read_page(ReadPageOptions { after: kept, ..Default::default() }).await?;
    if (page.events.len(), page.reached, page.caught_up) != (0, kept, true) {
        return Err(format!("missed: a page above an open writer reached {}", page.reached).into());
    }
    transaction.commit().await?;
    let page = store.read_page(ReadPageOptions { after: page.reached, ..Default::default() }).await?;
    let streams: Vec<&str> = page.events.iter().map(|event| event.stream.as_str()).collect();
    if streams != ["slow", "fast"] {
        return Err(format!("missed: after the commit a page held {streams:?}").into());
    }
    own.close().await?;
    Ok(store.close().await?)
}
