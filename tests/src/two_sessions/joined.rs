//! Appends inside a transaction of the caller.

use sqlx::Connection;
use streamkeep::{ErrorKind, Event, ExpectedVersion, ReadOptions};

use super::{Reader, append, event, run, session};
use crate::cases;
use crate::harness::Room;
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    cases![
        an_announcement_ends_with_its_savepoint_and_is_made_again,
        a_conflict_leaves_the_transaction_usable,
        a_repeat_within_a_transaction_returns_the_first_versions,
        a_transaction_that_is_not_read_committed_is_refused,
        a_transaction_rolled_back_leaves_nothing,
        a_migration_ends_the_appends_within_transactions_at_once,
        a_diagnosis_names_the_writer_that_holds_readers_back,
    ]
}

async fn an_announcement_ends_with_its_savepoint_and_is_made_again(room: Room) {
    let store = room.store().await;
    let mut reader = Reader::new(&store);
    let mut own = session(&room).await;
    let mut transaction = own.begin().await.expect("the transaction begins");
    run(&mut transaction, "savepoint a".to_owned()).await;
    store.append_in(&mut transaction, "undone", [event()], ExpectedVersion::Any).await.expect("the append succeeds");
    run(&mut transaction, "rollback to savepoint a".to_owned()).await;
    store.append_in(&mut transaction, "slow", [event()], ExpectedVersion::Any).await.expect("the append succeeds");
    append(&store, "fast").await;
    reader.read().await;
    assert_eq!(reader.seen, [], "the second append announces itself again");
    transaction.commit().await.expect("the commit succeeds");
    reader.read().await;
    reader.saw_everything().await;
    assert_eq!(reader.seen.iter().map(|(_, stream)| stream.as_str()).collect::<Vec<_>>(), ["slow", "fast"]);
}

async fn a_conflict_leaves_the_transaction_usable(room: Room) {
    let store = room.store().await;
    append(&store, "taken").await;
    let mut own = session(&room).await;
    let mut transaction = own.begin().await.expect("the transaction begins");
    assert_eq!(
        store
            .append_in(&mut transaction, "s", [event(), event()], ExpectedVersion::NoStream)
            .await
            .expect("the append succeeds"),
        [1, 2]
    );
    let refused = store
        .append_in(&mut transaction, "taken", [event()], ExpectedVersion::NoStream)
        .await
        .expect_err("the append conflicts");
    assert!(matches!(refused.kind(), ErrorKind::Conflict { actual: 1, .. }), "{refused}");
    assert_eq!(store.append_in(&mut transaction, "s", [event()], 2).await.expect("the append succeeds"), [3]);
    transaction.commit().await.expect("the commit succeeds");
    let events = store
        .read("s", ReadOptions::default())
        .next_page()
        .await
        .expect("the page is read")
        .expect("the page has events");
    assert_eq!(events.len(), 3);
}

async fn a_repeat_within_a_transaction_returns_the_first_versions(room: Room) {
    let store = room.store().await;
    let events: Vec<Event> = vec![event(), event().with_tags(["kept"])];
    store.append("s", events.clone(), ExpectedVersion::NoStream).await.expect("the append commits");
    let mut own = session(&room).await;
    let mut transaction = own.begin().await.expect("the transaction begins");
    let versions =
        store.append_in(&mut transaction, "s", events, ExpectedVersion::NoStream).await.expect("the repeat succeeds");
    assert_eq!(versions, [1, 2]);
    transaction.commit().await.expect("the commit succeeds");
    assert_eq!(store.head().await.expect("the head is read"), 2);
}

async fn a_transaction_that_is_not_read_committed_is_refused(room: Room) {
    let store = room.store().await;
    let mut own = session(&room).await;
    for isolation in ["repeatable read", "serializable"] {
        let mut transaction = own.begin().await.expect("the transaction begins");
        run(&mut transaction, format!("set transaction isolation level {isolation}")).await;
        let refused = store
            .append_in(&mut transaction, "s", [event()], ExpectedVersion::Any)
            .await
            .expect_err("the isolation level is refused");
        assert_eq!(refused.code(), "invalid-argument", "{refused}");
    }
}

async fn a_transaction_rolled_back_leaves_nothing(room: Room) {
    let store = room.store().await;
    let mut own = session(&room).await;
    let mut transaction = own.begin().await.expect("the transaction begins");
    let lost = event();
    store
        .append_in(&mut transaction, "s", [lost.clone()], ExpectedVersion::NoStream)
        .await
        .expect("the append succeeds");
    transaction.rollback().await.expect("the rollback succeeds");
    let again = store.append("s", [lost], ExpectedVersion::NoStream).await.expect("the append commits");
    assert_eq!((again.version, again.repeated), (1, false));
}

async fn a_migration_ends_the_appends_within_transactions_at_once(room: Room) {
    let store = room.store().await;
    let mut own = session(&room).await;
    let namespace = room.namespace();
    run(
        &mut own,
        format!("update streamkeep.namespaces set format = 9001, min_writer = 9001 where name = '{namespace}'"),
    )
    .await;
    let mut transaction = own.begin().await.expect("the transaction begins");
    let refused = store
        .append_in(&mut transaction, "s", [event()], ExpectedVersion::Any)
        .await
        .expect_err("a library that is too old is refused");
    assert!(refused.code() == "config" && refused.to_string().contains("9001"), "{refused}");
}

async fn a_diagnosis_names_the_writer_that_holds_readers_back(room: Room) {
    let store = room.store().await;
    let before = append(&store, "before").await;
    let mut own = session(&room).await;
    run(&mut own, "set application_name = 'slow writer'".to_owned()).await;
    let process: i32 =
        sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut own).await.expect("the process id is read");
    let mut transaction = own.begin().await.expect("the transaction begins");
    store.append_in(&mut transaction, "slow", [event()], ExpectedVersion::Any).await.expect("the append succeeds");
    append(&store, "fast").await;
    let found = store.diagnose().await.expect("the diagnosis succeeds");
    let [blocker] = &found.blockers[..] else { panic!("{found:?}") };
    assert_eq!((blocker.process, blocker.application.as_str()), (Some(process.into()), "slow writer"));
    assert_eq!((blocker.state.as_str(), blocker.since.is_some()), ("idle in transaction", true));
    assert_eq!((found.head, found.horizon, blocker.above), (before, blocker.above, found.horizon));
    transaction.commit().await.expect("the commit succeeds");
    assert!(store.diagnose().await.expect("the diagnosis succeeds").blockers.is_empty());
}
