//! What an error has beside its code: the failed operation, and the ids of a failed append.

use futures::TryStreamExt;
use streamkeep::{
    Error, Event, ExpectedVersion, ImportEvent, OpenOptions, Payload, Query, QueryItem, ReadAllOptions, ReadOptions,
    ReadPageOptions, Snapshot, SubscribeOptions,
};

use super::{append, event, refused};
use crate::harness::Room;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![an_error_names_its_operation, an_append_that_is_refused_names_its_ids]
}

fn import(event: Event, stream: &str) -> ImportEvent {
    ImportEvent { stream: stream.to_owned(), version: None, recorded_at: None, event }
}

fn snapshot(stream: &str) -> Snapshot {
    Snapshot { stream: stream.to_owned(), version: 1, schema: "f".to_owned(), data: Payload::Json("{}".to_owned()) }
}

fn assert_named(errors: Vec<(&'static str, Error)>, code: &str) {
    for (operation, error) in errors {
        assert_eq!((error.code(), error.operation()), (code, Some(operation)), "{error:?}");
    }
}

async fn an_error_names_its_operation(room: Room) {
    let opened = refused(OpenOptions::new(room.url("?colour=red")).open().await);
    assert_named(vec![("open", opened), ("open", refused(OpenOptions::new("nosuch:").open().await))], "config");
    let store = room.store().await;
    append(&store, "s", [event(1)]).await;
    // Each name is too long or each value not allowed, so the call is refused before anything is sent.
    let empty = Query::from(QueryItem { tags: vec![String::new()], ..QueryItem::default() });
    let by = || ReadAllOptions { query: empty.clone(), ..ReadAllOptions::default() };
    let invalid = vec![
        ("append", refused(store.append("", [event(2)], ExpectedVersion::Any).await)),
        ("append", refused(store.append("s", [], ExpectedVersion::Any).await)),
        ("import_events", refused(store.import_events([import(event(2), "")]).await)),
        ("read", refused(store.read("", ReadOptions::default()).try_next().await)),
        ("read", refused(store.read("s", 0..).next_page().await)),
        ("read_all", refused(store.read_all(by()).try_next().await)),
        (
            "read_page",
            refused(store.read_page(ReadPageOptions { query: empty.clone(), ..ReadPageOptions::default() }).await),
        ),
        ("read_page", refused(store.read_page(ReadPageOptions { limit: Some(0), ..ReadPageOptions::default() }).await)),
        (
            "subscribe",
            refused(
                store.subscribe(SubscribeOptions { query: empty, ..SubscribeOptions::default() }).next_batch().await,
            ),
        ),
        ("save_snapshot", refused(store.save_snapshot(snapshot("")).await)),
        ("load_snapshot", refused(store.load_snapshot("", "f", None).await)),
    ];
    assert_named(invalid, "invalid-argument");
    let mut running = store.subscribe(SubscribeOptions::default());
    running.try_next().await.expect("the event is read");
    store.close().await.expect("the store closes");
    let closed = vec![
        ("append", refused(store.append("s", [event(2)], ExpectedVersion::Any).await)),
        ("import_events", refused(store.import_events([import(event(2), "s")]).await)),
        ("read", refused(store.read("s", ReadOptions::default()).try_next().await)),
        ("read_all", refused(store.read_all(ReadAllOptions::default()).try_next().await)),
        ("read_page", refused(store.read_page(ReadPageOptions::default()).await)),
        ("subscribe", refused(store.subscribe(SubscribeOptions::default()).try_next().await)),
        ("subscribe", refused(running.try_next().await)),
        ("save_snapshot", refused(store.save_snapshot(snapshot("s")).await)),
        ("load_snapshot", refused(store.load_snapshot("s", "f", None).await)),
        ("head", refused(store.head().await)),
        ("diagnose", refused(store.diagnose().await)),
    ];
    assert_named(closed, "closed");
}

async fn an_append_that_is_refused_names_its_ids(room: Room) {
    let store = room.store().await;
    let sent = event(1);
    let twice = [sent.clone(), sent.clone()];
    let invalid = refused(store.append("s", twice, ExpectedVersion::Any).await);
    assert_eq!((invalid.code(), invalid.ids()), ("invalid-argument", &[sent.id, sent.id][..]));
    let conflict = refused(store.append("s", [sent.clone()], 7).await);
    assert_eq!((conflict.code(), conflict.ids()), ("conflict", &[sent.id][..]));
    store.close().await.expect("the store closes");
    let closed = refused(store.append("s", [sent.clone()], ExpectedVersion::Any).await);
    assert_eq!((closed.code(), closed.ids()), ("closed", &[sent.id][..]));
}
