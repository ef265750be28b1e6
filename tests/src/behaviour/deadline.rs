//! Rule 26: every operation has a deadline.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use streamkeep::{
    AppendOptions, Error, ExpectedVersion, ImportEvent, Outcome, Payload, ReadAllOptions, ReadOptions, ReadPageOptions,
    Result, Snapshot,
};

use super::{append, event, events, log, refused};
use crate::harness::{Backend, Room};
use crate::suite::{Case, Inserts};

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        an_append_past_its_deadline_is_unavailable_with_its_ids,
        an_append_past_its_deadline_can_be_retried,
        every_call_past_its_deadline_is_unavailable,
        a_read_blocked_by_the_database_ends_at_its_deadline: lacking READERS_NEVER_WAIT,
        the_timeout_of_a_store_is_the_default_of_its_calls,
        an_append_blocked_by_the_database_ends_at_its_deadline: lacking NO_LOCKS,
        every_read_blocked_by_the_database_ends_at_its_own_deadline: lacking READERS_NEVER_WAIT,
        every_write_blocked_by_the_database_ends_at_its_own_deadline: lacking NO_LOCKS,
        an_import_of_many_units_has_one_deadline: inserts Inserts::Thousands,
    ]
}

const NO_LOCKS: &[(Backend, &str)] = &[(Backend::Memory, "no other client can lock it")];
const READERS_NEVER_WAIT: &[(Backend, &str)] =
    &[(Backend::Memory, "its readers never wait"), (Backend::Sqlite, "in WAL mode its readers never wait")];
const NO_TIME: Option<Duration> = Some(Duration::ZERO);

async fn an_append_past_its_deadline_is_unavailable_with_its_ids(room: Room) {
    let store = room.store().await;
    let late = events(2);
    let error =
        refused(store.append("s", late.clone(), AppendOptions { timeout: NO_TIME, ..AppendOptions::default() }).await);
    assert_eq!((error.code(), error.retryable(), error.outcome()), ("unavailable", true, Outcome::NotApplied));
    assert_eq!(error.ids(), [late[0].id, late[1].id]);
    assert!(log(&store).await.is_empty(), "the append is not applied");
}

async fn every_call_past_its_deadline_is_unavailable(room: Room) {
    let store = room.store().await;
    append(&store, "s", [event(1)]).await;
    store.save_snapshot(snapshot()).await.expect("the snapshot is saved");
    let hasty = store.with_timeout(Duration::ZERO);
    let late: [(&str, Result<()>); 7] = [
        ("head", hasty.head().await.map(drop)),
        ("last", hasty.last("s").await.map(drop)),
        ("read", hasty.read("s", 1..).try_next().await.map(drop)),
        ("read_all", hasty.read_all(ReadAllOptions::default()).try_next().await.map(drop)),
        ("read_page", hasty.read_page(ReadPageOptions::default()).await.map(drop)),
        ("save_snapshot", hasty.save_snapshot(snapshot()).await),
        ("load_snapshot", hasty.load_snapshot("s", "s/1", None).await.map(drop)),
    ];
    for (operation, result) in late {
        let error = refused(result);
        assert_eq!((error.code(), error.retryable(), error.operation()), ("unavailable", true, Some(operation)));
    }
}

async fn an_append_past_its_deadline_can_be_retried(room: Room) {
    let store = room.store().await;
    for timeout in [0, 200, 800, 3_000] {
        let sent = events(2);
        let name = format!("s-{timeout}");
        let options =
            AppendOptions { expected: ExpectedVersion::NoStream, timeout: Some(Duration::from_micros(timeout)) };
        let first = store.append(name.as_str(), sent.clone(), options).await;
        let again = store.append(name.as_str(), sent, ExpectedVersion::NoStream).await.expect("the retry commits");
        assert_eq!(again.version, 2);
        match first {
            Ok(done) => assert_eq!((again.repeated, again.position), (true, done.position)),
            Err(error) => assert!(
                error.code() == "unavailable" && (error.outcome() == Outcome::Unknown || !again.repeated),
                "{error:?}"
            ),
        }
    }
}

async fn a_read_blocked_by_the_database_ends_at_its_deadline(room: Room) {
    const SOON: Option<Duration> = Some(Duration::from_millis(400));
    let store = room.store().await;
    append(&store, "s", events(3)).await;
    let lock = room.lock_out_readers().await;
    let errors = [
        refused(store.read("s", ReadOptions { timeout: SOON, ..ReadOptions::default() }).try_next().await),
        refused(store.read_all(ReadAllOptions { timeout: SOON, ..ReadAllOptions::default() }).try_next().await),
        refused(store.read_page(ReadPageOptions { timeout: SOON, ..ReadPageOptions::default() }).await),
    ];
    for error in errors {
        assert_eq!((error.code(), error.retryable()), ("unavailable", true));
    }
    lock.release().await;
    assert_eq!(log(&store).await.len(), 3);
}

async fn the_timeout_of_a_store_is_the_default_of_its_calls(room: Room) {
    // This store stays open, so that the second one opens quickly.
    let keeper = room.store().await;
    append(&keeper, "s", events(1)).await;
    let hurried = room.options().timeout(Duration::from_secs(5)).open().await.expect("the store opens");
    let own = AppendOptions { timeout: NO_TIME, ..AppendOptions::default() };
    assert_eq!(refused(hurried.append("s", [event(2)], own).await).code(), "unavailable");
    append(&hurried, "s", [event(3)]).await;
    assert_eq!(log(&keeper).await.len(), 2);
}

/// An append waits for another client's lock until its deadline, and later appends succeed.
async fn an_append_blocked_by_the_database_ends_at_its_deadline(room: Room) {
    let store = room.store().await;
    append(&store, "s", [event(1)]).await;
    let lock = room.lock_out_writers().await;
    let sent = event(2);
    let options = AppendOptions { timeout: Some(Duration::from_millis(700)), ..AppendOptions::default() };
    let began = Instant::now();
    let error = refused(store.append("s", [sent.clone()], options).await);
    assert_eq!((error.code(), error.ids()), ("unavailable", &[sent.id][..]));
    assert!(began.elapsed() < Duration::from_secs(5), "the append took {:?}", began.elapsed());
    assert_eq!(log(&store).await.len(), 1, "readers do not wait");
    lock.release().await;
    let again = append(&store, "s", [sent]).await;
    assert_eq!((again.version, log(&store).await.len()), (2, 2));
}

/// Checks that a call ends at its own deadline, not at the store's, and returns its error.
async fn fails_at_its_deadline<T: std::fmt::Debug>(name: &str, call: impl Future<Output = Result<T>>) -> Error {
    let began = Instant::now();
    let error = refused(call.await);
    assert_eq!((error.code(), error.retryable(), error.operation()), ("unavailable", true, Some(name)), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{name} took {:?}", began.elapsed());
    error
}

fn snapshot() -> Snapshot {
    Snapshot { stream: "s".to_owned(), version: 1, schema: "fold/1".to_owned(), data: Payload::Json("{}".to_owned()) }
}

async fn every_read_blocked_by_the_database_ends_at_its_own_deadline(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(3)).await;
    store.save_snapshot(snapshot()).await.expect("the snapshot is saved");
    let lock = room.lock_out_readers().await;
    let hurried = store.with_timeout(Duration::from_millis(400));
    fails_at_its_deadline("head", hurried.head()).await;
    fails_at_its_deadline("load_snapshot", hurried.load_snapshot("s", "fold/1", None)).await;
    fails_at_its_deadline("save_snapshot", hurried.save_snapshot(snapshot())).await;
    fails_at_its_deadline("read_page", hurried.read_page(ReadPageOptions::default())).await;
    fails_at_its_deadline("read", hurried.read("s", 1..).try_next()).await;
    fails_at_its_deadline("read_all", hurried.read_all(ReadAllOptions::default()).try_next()).await;
    lock.release().await;
    assert_eq!(
        store.head().await.expect("the head is read"),
        log(&store).await[2].position,
        "the store works afterwards"
    );
}

async fn every_write_blocked_by_the_database_ends_at_its_own_deadline(room: Room) {
    let store = room.store().await;
    append(&store, "s", [event(1)]).await;
    let lock = room.lock_out_writers().await;
    let hurried = store.with_timeout(Duration::from_millis(700));
    let import = ImportEvent { stream: "t".to_owned(), version: None, recorded_at: None, event: event(2) };
    let error = fails_at_its_deadline("import_events", hurried.import_events([import.clone()])).await;
    assert_eq!(error.ids(), [import.event.id]);
    let error = fails_at_its_deadline("append", hurried.append("s", [event(3)], ExpectedVersion::Any)).await;
    assert_eq!(error.ids().len(), 1);
    if room.backend() == Backend::Sqlite {
        // On the other backends a locked append does not block a snapshot.
        fails_at_its_deadline("save_snapshot", hurried.save_snapshot(snapshot())).await;
    }
    lock.release().await;
    store.import_events([import]).await.expect("the retry commits");
    assert!(log(&store).await.len() <= 3);
}

/// The deadline is that of the whole call, however many units the import has.
async fn an_import_of_many_units_has_one_deadline(room: Room) {
    const UNITS: u32 = 6;
    let store = room.store().await;
    let imports = |stream: &str| {
        let import = |event| ImportEvent { stream: stream.to_owned(), version: None, recorded_at: None, event };
        (0..UNITS * 1_000).map(event).map(import).collect::<Vec<_>>()
    };
    let began = Instant::now();
    store.import_events(imports("undisturbed")).await.expect("the import commits");
    let mut timeout = began.elapsed() / UNITS;
    let (second, error) = loop {
        let second = imports(&format!("hurried-{timeout:?}"));
        match store.with_timeout(timeout).import_events(second.clone()).await {
            // The machine was slower during the first import.
            Ok(_) => timeout /= 2,
            Err(error) => break (second, error),
        }
    };
    assert_eq!((error.code(), error.retryable()), ("unavailable", true), "{error:?}");
    assert!(error.ids().len() == 1_000, "the error has the ids of the unit that was too late: {}", error.ids().len());
    let again = store.import_events(second).await.expect("an import can be resumed");
    assert_eq!(again.imported + again.passed_over, u64::from(UNITS) * 1_000);
}
