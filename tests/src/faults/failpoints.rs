//! Cancelled calls and passed deadlines while a task of the store waits at a failpoint.
//!
//! Failpoints are global in a process, so each case runs in a new process.

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use sqlx::{Connection, PgConnection};
use streamkeep::{
    AppendOptions, ErrorKind, Event, ExpectedVersion, Outcome, Query, QueryItem, ReadAllOptions, ReadPageOptions,
    SubscribeOptions, faults,
};
use streamkeep_tests::harness::{BACKENDS, Backend};
use streamkeep_tests::servers::MongoServer;
use tokio::sync::oneshot;

use super::cancel::{conclude, in_time, one_connection, still_served};
use super::ground::{Ground, command};
use super::history::{Expected, History};
use super::process::{at_each_point, in_own_process};
use super::writers::{Draft, refusal};

/// Where an append can be paused.
const IN_APPENDS: &[(Backend, &str)] = &[
    (Backend::Memory, "queue-before-send"),
    (Backend::Memory, "queue-before-answer"),
    (Backend::Sqlite, "queue-before-send"),
    (Backend::Sqlite, "queue-before-answer"),
    (Backend::Sqlite, "sqlite-in-transaction"),
    (Backend::Postgres, "queue-before-send"),
    (Backend::Postgres, "queue-before-answer"),
    (Backend::Postgres, "postgres-append-before"),
    (Backend::Postgres, "postgres-append-after"),
    (Backend::Mongodb, "queue-before-send"),
    (Backend::Mongodb, "queue-before-answer"),
    (Backend::Mongodb, "mongodb-in-transaction"),
    (Backend::Mongodb, "mongodb-before-commit"),
    (Backend::Mongodb, "mongodb-after-commit"),
];

/// Where a read that holds a connection can be paused.
const IN_READS: &[(Backend, &str)] = &[
    (Backend::Sqlite, "sqlite-before-page"),
    (Backend::Postgres, "postgres-between-horizon-and-page"),
    (Backend::Mongodb, "mongodb-between-head-and-page"),
];

pub fn trials() -> Vec<Trial> {
    let appends = at_each_point("append_dropped", IN_APPENDS, append_dropped);
    let late = at_each_point("deadline_passes", IN_APPENDS, deadline_passes);
    let reads = at_each_point("read_dropped", IN_READS, read_dropped);
    let wakes = [Backend::Sqlite, Backend::Postgres, Backend::Mongodb].map(|kind| {
        in_own_process("failpoints::a_write_between_page_and_wait_wakes_the_subscriber", kind, write_between)
    });
    let horizon =
        [in_own_process("failpoints::a_page_is_read_after_the_horizon", Backend::Postgres, page_after_horizon)];
    let file = [in_own_process(
        "failpoints::an_append_to_a_file_removed_before_the_commit_is_not_acknowledged",
        Backend::Sqlite,
        file_removed_before_commit,
    )];
    let shared =
        BACKENDS.map(|kind| in_own_process("failpoints::caught_up_subscriptions_share_one_reader", kind, one_reader));
    let short = [Backend::Sqlite, Backend::Postgres, Backend::Mongodb]
        .map(|kind| in_own_process("failpoints::a_short_timeout_ends_no_page_of_another_store", kind, short_timeout));
    let scans =
        BACKENDS.map(|kind| in_own_process("failpoints::a_dropped_scan_ends_with_its_page", kind, scan_dropped));
    appends
        .chain(late)
        .chain(reads)
        .chain(wakes)
        .chain(horizon)
        .chain(file)
        .chain(scans)
        .chain(shared)
        .chain(short)
        .collect()
}

/// Several events for any version: no backend has a shortcut for them.
fn draft(stream: &str, count: usize) -> Draft {
    Draft {
        stream: stream.into(),
        expected: Expected::Any,
        events: (0..count).map(|_| Event::json_text("Happened", "{}")).collect(),
    }
}

/// An append that was sent continues and commits although its caller is gone.
async fn append_dropped(ground: Ground, point: &'static str) -> Result<(), Failed> {
    let (store, mut history) = (one_connection(&ground).open().await?, History::default());
    for round in 0..5 {
        let draft = draft(&format!("s-{round}"), 3);
        let paused = faults::pause(point);
        let call = tokio::spawn({
            let (store, draft) = (store.clone(), draft.clone());
            async move { draft.append(&store).await }
        });
        in_time("reaching the failpoint", paused.reached()).await?;
        call.abort();
        let _ = call.await;
        drop(paused);
        still_served(&ground, &store, &mut history).await?;
        let (attempt, repeated, _) = in_time("the same append again", draft.append(&store)).await?;
        if !repeated {
            return Err(
                format!("an append was sent, its caller was cancelled, and it did not run on: {attempt:?}").into()
            );
        }
        history.attempts.push(attempt);
    }
    conclude(point, &ground, &store, &history, 0).await
}

/// At the deadline the caller gets an error that says what is known, and the log shows whether that was true.
async fn deadline_passes(ground: Ground, point: &'static str) -> Result<(), Failed> {
    let (store, mut history) = (one_connection(&ground).open().await?, History::default());
    for round in 0..3 {
        let draft = draft(&format!("s-{round}"), 3);
        let paused = faults::pause(point);
        let options = AppendOptions { expected: ExpectedVersion::Any, timeout: Some(Duration::from_millis(300)) };
        let result =
            in_time("an append past its deadline", store.append(&draft.stream, draft.events.clone(), options)).await?;
        let Err(error) = result else { return Err("an append that is paused past its deadline succeeded".into()) };
        if error.ids().len() != draft.events.len() || !error.retryable() {
            return Err(format!("an append paused past its deadline returned {error:?}").into());
        }
        history.attempts.push(draft.attempt(refusal(&error, draft.expected).0));
        drop(paused);
        still_served(&ground, &store, &mut history).await?;
    }
    conclude(point, &ground, &store, &history, 0).await
}

async fn read_dropped(ground: Ground, point: &'static str) -> Result<(), Failed> {
    let (store, mut history) = (one_connection(&ground).open().await?, History::default());
    for _ in 0..5 {
        let paused = faults::pause(point);
        let call = tokio::spawn({
            let store = store.clone();
            async move { store.read_page(ReadPageOptions::default()).await }
        });
        in_time("reaching the failpoint", paused.reached()).await?;
        call.abort();
        let _ = call.await;
        drop(paused);
        still_served(&ground, &store, &mut history).await?;
    }
    conclude(point, &ground, &store, &history, 0).await
}

/// A write after a subscriber's page and before its wait must wake it: its poll interval is too long to find the write.
async fn write_between(ground: Ground) -> Result<(), Failed> {
    let store = ground.options().poll_interval(Duration::from_secs(600)).open().await?;
    let wanted = QueryItem { types: vec!["Wanted".into()], ..QueryItem::default() };
    let mut follow = store.subscribe(SubscribeOptions { query: wanted.into(), ..SubscribeOptions::default() });
    in_time("catching up", follow.next_batch()).await??;
    let write = async |event: &str| store.append("s-1", [Event::json_text(event, "{}")], ExpectedVersion::Any).await;
    for _ in 0..3 {
        let paused = faults::pause("subscription-after-page");
        // The subscriber finds no event that matches and is paused before it waits.
        write("Other").await?;
        in_time("reaching the failpoint", paused.reached()).await?;
        let written = write("Wanted").await?;
        drop(paused);
        let batch = in_time("the wait of a subscriber", follow.next_batch()).await??;
        let positions: Vec<u64> =
            batch.into_iter().flat_map(|batch| batch.events).map(|event| event.position).collect();
        if positions != [written.position] {
            return Err(format!("a subscriber got {positions:?} instead of the event that was written").into());
        }
    }
    drop(follow);
    Ok(store.close().await?)
}

/// A writer commits after a reader begins its page and before the reader looks for open writers. The reader does not
/// wait for it any more, so the page must have its events, even where the default isolation is 'repeatable read'.
async fn page_after_horizon(ground: Ground) -> Result<(), Failed> {
    let database = ground.database.as_deref().unwrap_or_default();
    command(&ground.url, format!("alter database {database} set default_transaction_isolation = 'repeatable read'"))
        .await?;
    let (store, mut own) = (ground.open().await?, PgConnection::connect(&ground.url).await?);
    let happened = || [Event::json_text("Happened", "{}")];
    let mut after = 0;
    for _ in 0..3 {
        let mut transaction = own.begin_with("begin isolation level read committed").await?;
        store.append_in(&mut transaction, "slow", happened(), ExpectedVersion::Any).await?;
        store.append("fast", happened(), ExpectedVersion::Any).await?;
        let paused = faults::pause("postgres-before-horizon");
        let reading = tokio::spawn({
            let store = store.clone();
            async move { store.read_page(ReadPageOptions { after, ..ReadPageOptions::default() }).await }
        });
        in_time("reaching the failpoint", paused.reached()).await?;
        transaction.commit().await?;
        drop(paused);
        let page = in_time("a page", reading).await???;
        let streams: Vec<&str> = page.events.iter().map(|event| event.stream.as_str()).collect();
        if streams != ["slow", "fast"] {
            return Err(format!("missed: a page up to {} held {streams:?}", page.reached).into());
        }
        after = page.reached;
    }
    own.close().await?;
    Ok(store.close().await?)
}

/// The commit still succeeds, but in a file that no longer has a name.
async fn file_removed_before_commit(ground: Ground) -> Result<(), Failed> {
    let file = PathBuf::from(ground.url.trim_start_matches("sqlite:"));
    let (store, draft) = (ground.open().await?, draft("s-1", 3));
    let paused = faults::pause("sqlite-in-transaction");
    let call = tokio::spawn({
        let (store, draft) = (store.clone(), draft.clone());
        async move { store.append(&draft.stream, draft.events, ExpectedVersion::Any).await }
    });
    in_time("reaching the failpoint", paused.reached()).await?;
    std::fs::rename(&file, file.with_extension("away"))?;
    drop(paused);
    match in_time("the append", call).await?? {
        Ok(appended) => Err(format!("acknowledged: {appended:?} in a file that was removed").into()),
        Err(error) if error.code() != "corrupt" || error.outcome() != Outcome::Unknown => {
            Err(format!("an append to a file that was removed returned {error:?}").into())
        }
        Err(_) => Ok(store.close().await?),
    }
}

/// Moves a case with long inserts to a MongoDB server of its own, which stops when the answer is dropped. While
/// SecantusDB inserts 10,000 events in a transaction, it answers no other transaction, and other cases on the same
/// server run into their deadlines.
async fn own_server(ground: &mut Ground) -> Result<Option<mpsc::Sender<()>>, Failed> {
    if ground.kind != Backend::Mongodb {
        return Ok(None);
    }
    let ((stop, stopped), (tell, told)) = (mpsc::channel::<()>(), oneshot::channel());
    // The system stops the server together with the thread that started it, so the thread stays.
    std::thread::spawn(move || {
        let server = MongoServer::start();
        // The case may have ended.
        let _ = tell.send(server.as_ref().map(MongoServer::url).map_err(|error| format!("{error:?}")));
        let _ = stopped.recv();
    });
    ground.url = told.await??;
    Ok(Some(stop))
}

/// A reader that finds nothing goes on from page to page. Once it is dropped, it reads no further page.
async fn scan_dropped(mut ground: Ground) -> Result<(), Failed> {
    let _server = own_server(&mut ground).await?;
    // A store in memory is deleted with its last handle.
    let keeper = ground.options().timeout(Duration::from_secs(120)).open().await?;
    // More events than two pages look at.
    for part in 0..5 {
        let happened: Vec<Event> = (0..10_000).map(|_| Event::json_text("Happened", "{}")).collect();
        keeper.append(format!("s-{part}"), happened, ExpectedVersion::NoStream).await?;
    }
    let absent: Query = QueryItem { types: vec!["Absent".into()], ..QueryItem::default() }.into();
    for what in ["read_all", "subscribe"] {
        // Each round closes its own store, so that no page of the round before is counted here.
        let (store, query) = (ground.options().timeout(Duration::from_secs(120)).open().await?, absent.clone());
        let paused = faults::pause("log-page");
        let reading = tokio::spawn({
            let (store, query) = (store.clone(), query.clone());
            async move {
                if what == "read_all" {
                    let mut events = store.read_all(ReadAllOptions { query, ..ReadAllOptions::default() });
                    let _ = events.next_page().await;
                } else {
                    let mut follow = store.subscribe(SubscribeOptions { query, ..SubscribeOptions::default() });
                    let _ = follow.next_batch().await;
                }
            }
        });
        in_time("reaching the failpoint", paused.reached()).await?;
        reading.abort();
        let _ = reading.await;
        let begun = faults::hits("log-page");
        drop(paused);
        // As many pages as the dropped reader would have read. Pages from memory are read before the reader's task can
        // run, so they are read several times.
        let rounds = if ground.kind == Backend::Memory { 5 } else { 1 };
        let mut pages = 0;
        for _ in 0..rounds {
            let mut after = 0;
            loop {
                let options = ReadPageOptions { after, query: query.clone(), ..ReadPageOptions::default() };
                let page = in_time("a page", store.read_page(options)).await??;
                (after, pages) = (page.reached, pages + 1);
                if page.caught_up {
                    break;
                }
            }
        }
        let others = faults::hits("log-page") - begun - pages;
        if pages < 3 * rounds || others > 0 {
            return Err(format!("a dropped {what} read {others} pages more, besides {pages} of others").into());
        }
        store.close().await?;
    }
    Ok(keeper.close().await?)
}

/// Many subscriptions that have caught up read few pages: each page is read once for all of them.
async fn one_reader(ground: Ground) -> Result<(), Failed> {
    const READERS: u64 = 20;
    const APPENDS: u64 = 10;
    let store = ground.open().await?;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut follow = store.subscribe(SubscribeOptions::default());
        in_time("catching up", follow.next_batch()).await??;
        readers.push(follow);
    }
    // Pages are counted from here on.
    drop(faults::pause("log-page"));
    for _ in 0..APPENDS {
        let written = store.append("s-1", [Event::json_text("Happened", "{}")], ExpectedVersion::Any).await?;
        for follow in &mut readers {
            let batch = in_time("a subscription", follow.next_batch()).await??.ok_or("the subscription goes on")?;
            let positions: Vec<u64> = batch.events.iter().map(|event| event.position).collect();
            if positions != [written.position] {
                return Err(format!("{positions:?} arrived, {} was written", written.position).into());
            }
        }
    }
    // One page for each append, and some for hints and polls that find nothing new.
    let pages = faults::hits("log-page");
    if pages > READERS * APPENDS / 2 {
        return Err(format!("{READERS} subscriptions read {pages} pages of {APPENDS} appends").into());
    }
    drop(readers);
    Ok(store.close().await?)
}

/// Stores of one namespace share the reader at the end of the log. A store whose timeout is shorter than a page takes
/// does not end the page for the others.
async fn short_timeout(ground: Ground) -> Result<(), Failed> {
    const SHORT: Duration = Duration::from_secs(1);
    let patient = ground.open().await?;
    // A busy server can take longer to open it.
    let hasty = loop {
        match ground.options().timeout(SHORT).open().await {
            Err(error) if matches!(error.kind(), ErrorKind::Unavailable) => {}
            opened => break opened?,
        }
    };
    let mut readers = [hasty.subscribe(SubscribeOptions::default()), patient.subscribe(SubscribeOptions::default())];
    for follow in &mut readers {
        in_time("catching up", follow.next_batch()).await??;
    }
    faults::delay("log-page", SHORT + SHORT / 2);
    let written = patient.append("s-1", [Event::json_text("Happened", "{}")], ExpectedVersion::Any).await?;
    // Both get the page, because one reader reads for both.
    for follow in readers.iter_mut().rev() {
        let batch = in_time("a subscription", follow.next_batch()).await??.ok_or("the subscription goes on")?;
        let positions: Vec<u64> = batch.events.iter().map(|event| event.position).collect();
        if positions != [written.position] {
            return Err(format!("{positions:?} arrived, {} was written", written.position).into());
        }
    }
    faults::delay("log-page", Duration::ZERO);
    drop(readers);
    hasty.close().await?;
    Ok(patient.close().await?)
}
