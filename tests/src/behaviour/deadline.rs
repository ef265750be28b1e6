//! Rule 26: every operation has a deadline.

use std::time::Duration;

use futures::TryStreamExt;
use streamkeep::{AppendOptions, ExpectedVersion, Outcome, ReadAllOptions, ReadOptions, ReadPageOptions};

use super::{append, event, events, log, refused};
use crate::harness::{Backend, Room};
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        an_append_past_its_deadline_is_unavailable_with_its_ids,
        an_append_that_came_too_late_can_be_sent_again,
        a_read_held_up_by_the_database_ends_at_its_deadline: lacking FREE_READERS,
        the_stores_time_out_is_the_default_of_its_calls,
        an_append_held_up_by_the_database_ends_at_its_deadline: lacking UNREACHABLE,
    ]
}

const UNREACHABLE: &[(Backend, &str)] = &[(Backend::Memory, "nobody else can lock it")];
const FREE_READERS: &[(Backend, &str)] = &[(Backend::Memory, "its readers wait for nobody"), (Backend::Sqlite, "in WAL mode its readers wait for nobody")];
const NONE: Option<Duration> = Some(Duration::ZERO);

async fn an_append_past_its_deadline_is_unavailable_with_its_ids(room: Room) {
    let store = room.store().await;
    let late = events(2);
    let error = refused(store.append("s", late.clone(), AppendOptions { timeout: NONE, ..AppendOptions::default() }).await);
    assert_eq!((error.code(), error.retryable(), error.outcome()), ("unavailable", true, Outcome::NotApplied));
    assert_eq!(error.ids(), [late[0].id, late[1].id]);
    assert!(log(&store).await.is_empty(), "not applied");
}

async fn an_append_that_came_too_late_can_be_sent_again(room: Room) {
    let store = room.store().await;
    for timeout in [0, 200, 800, 3_000] {
        let sent = events(2);
        let name = format!("s-{timeout}");
        let options = AppendOptions { expected: ExpectedVersion::NoStream, timeout: Some(Duration::from_micros(timeout)) };
        let first = store.append(name.as_str(), sent.clone(), options).await;
        let again = store.append(name.as_str(), sent, ExpectedVersion::NoStream).await.expect("ids make a retry safe");
        assert_eq!(again.version, 2);
        match first {
            Ok(done) => assert_eq!((again.repeated, again.position), (true, done.position)),
            Err(error) => assert!(error.code() == "unavailable" && (error.outcome() == Outcome::Unknown || !again.repeated), "{error:?}"),
        }
    }
}

async fn a_read_held_up_by_the_database_ends_at_its_deadline(room: Room) {
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

async fn the_stores_time_out_is_the_default_of_its_calls(room: Room) {
    // Kept open, so that the place is there to be opened quickly.
    let keeper = room.store().await;
    append(&keeper, "s", events(1)).await;
    let hurried = room.options().timeout(Duration::from_secs(5)).open().await.expect("the store");
    let own = AppendOptions { timeout: NONE, ..AppendOptions::default() };
    assert_eq!(refused(hurried.append("s", [event(2)], own).await).code(), "unavailable");
    append(&hurried, "s", [event(3)]).await;
    assert_eq!(log(&keeper).await.len(), 2);
}

/// An append waits for somebody's lock no longer than its deadline says, and others go on afterwards.
async fn an_append_held_up_by_the_database_ends_at_its_deadline(room: Room) {
    let store = room.store().await;
    append(&store, "s", [event(1)]).await;
    let lock = room.lock_out_writers().await;
    let sent = event(2);
    let options = AppendOptions { timeout: Some(Duration::from_millis(700)), ..AppendOptions::default() };
    let began = std::time::Instant::now();
    let error = refused(store.append("s", [sent.clone()], options).await);
    assert_eq!((error.code(), error.ids()), ("unavailable", &[sent.id][..]));
    assert!(began.elapsed() < Duration::from_secs(5), "it waited {:?}", began.elapsed());
    assert_eq!(log(&store).await.len(), 1, "readers go on");
    lock.release().await;
    let again = append(&store, "s", [sent]).await;
    assert_eq!((again.version, log(&store).await.len()), (2, 2));
}
