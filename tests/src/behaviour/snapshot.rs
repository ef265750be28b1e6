//! Rules 20 and 21: a snapshot never changes a result.

use streamkeep::{ErrorKind, EventStore, Payload, Snapshot};

use super::{all_at_once, append, events, refused};
use crate::harness::{Backend, Room};
use crate::suite::Case;

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        a_snapshot_is_loaded_as_it_was_saved,
        a_snapshot_above_the_streams_version_is_refused,
        a_snapshot_of_another_schema_is_another_snapshot,
        an_older_snapshot_never_replaces_a_newer_one,
        a_snapshot_of_the_same_version_is_replaced,
        a_damaged_snapshot_is_ignored_and_an_older_one_found: lacking UNREACHABLE,
        a_snapshot_whose_fields_cannot_be_read_is_ignored: lacking UNREACHABLE,
        a_snapshot_of_another_history_is_ignored: lacking UNREACHABLE,
        a_snapshot_past_the_streams_end_is_ignored: lacking UNREACHABLE,
    ]
}

const UNREACHABLE: &[(Backend, &str)] = &[(Backend::Memory, "no case can damage what it stores")];

fn at(version: u64, data: &str) -> Snapshot {
    Snapshot { stream: "s".to_owned(), version, schema: "fold/1".to_owned(), data: Payload::Json(data.to_owned()) }
}

async fn save(store: &EventStore, snapshot: Snapshot) {
    store.save_snapshot(snapshot).await.expect("the snapshot is saved");
}

async fn load(store: &EventStore, at_or_before: Option<u64>) -> Option<u64> {
    store
        .load_snapshot("s", "fold/1", at_or_before)
        .await
        .expect("the snapshot is loaded")
        .map(|snapshot| snapshot.version)
}

async fn a_snapshot_is_loaded_as_it_was_saved(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(3)).await;
    for (version, data) in [
        (1, Payload::Json(" {\"b\":1.0,\"a\":1e400} ".to_owned())),
        (2, Payload::Bytes(vec![0, 255, 1])),
        (3, Payload::Bytes(vec![])),
    ] {
        let snapshot = Snapshot { data, ..at(version, "") };
        save(&store, snapshot.clone()).await;
        assert_eq!(store.load_snapshot("s", "fold/1", None).await.expect("the snapshot is loaded"), Some(snapshot));
    }
    assert_eq!(
        [load(&store, Some(2)).await, load(&store, Some(0)).await, load(&store, Some(u64::MAX)).await],
        [Some(2), None, Some(3)]
    );
}

async fn a_snapshot_above_the_streams_version_is_refused(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(3)).await;
    for version in [0, 4, u64::MAX] {
        let error = refused(store.save_snapshot(at(version, "{}")).await);
        assert_eq!(error.kind(), &ErrorKind::InvalidArgument { argument: "version".to_owned() });
    }
    let large = Snapshot { data: Payload::Bytes(vec![0; (8 << 20) + 1]), ..at(1, "") };
    assert!(matches!(
        refused(store.save_snapshot(large).await).kind(),
        ErrorKind::LimitExceeded { limit: 8_388_608, .. }
    ));
    assert_eq!(load(&store, None).await, None);
}

async fn a_snapshot_of_another_schema_is_another_snapshot(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(3)).await;
    save(&store, at(2, "\"one\"")).await;
    save(&store, Snapshot { schema: "fold/2".to_owned(), ..at(3, "\"two\"") }).await;
    assert_eq!(load(&store, None).await, Some(2));
    assert_eq!(store.load_snapshot("s", "fold/3", None).await.expect("the snapshot is loaded"), None);
    assert_eq!(store.load_snapshot("s", "FOLD/1", None).await.expect("the snapshot is loaded"), None);
}

async fn an_older_snapshot_never_replaces_a_newer_one(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(20)).await;
    let saves = (1..=20).rev().map(|version| {
        let store = store.clone();
        async move { save(&store, at(version, &version.to_string())).await }
    });
    all_at_once(saves).await;
    assert_eq!(load(&store, None).await, Some(20));
    save(&store, at(5, "\"late\"")).await;
    assert_eq!([load(&store, None).await, load(&store, Some(12)).await], [Some(20), Some(12)]);
}

async fn a_snapshot_of_the_same_version_is_replaced(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(2)).await;
    save(&store, at(2, "1")).await;
    let again = Snapshot { data: Payload::Bytes(vec![2]), ..at(2, "") };
    save(&store, again.clone()).await;
    assert_eq!(store.load_snapshot("s", "fold/1", None).await.expect("the snapshot is loaded"), Some(again));
}

async fn a_damaged_snapshot_is_ignored_and_an_older_one_found(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(3)).await;
    save(&store, at(2, "\"good\"")).await;
    save(&store, at(3, "\"better\"")).await;
    room.change(&format!("UPDATE {} SET data = '\"worse\"' WHERE version = 3", room.table("snapshots"))).await;
    assert_eq!(load(&store, None).await, Some(2));
    room.change(&format!("UPDATE {} SET checksum = checksum + 1 WHERE version = 2", room.table("snapshots"))).await;
    assert_eq!(load(&store, None).await, None);
    save(&store, at(3, "\"good again\"")).await;
    assert_eq!(load(&store, None).await, Some(3));
}

async fn a_snapshot_whose_fields_cannot_be_read_is_ignored(room: Room) {
    let damages: &[&str] = match room.backend() {
        Backend::Memory => &[],
        Backend::Sqlite => &[
            "checksum = -1",
            "checksum = 1099511627776",
            "event_id = x'00'",
            "data = NULL",
            "data = CAST(x'ff' AS TEXT)",
            "data_bytes = x'00', data = NULL",
        ],
        Backend::Postgres => &["checksum = -1", "checksum = 1099511627776", "data = null"],
        Backend::Mongodb => &["checksum = -1", "checksum = 1099511627776", "event_id = 5"],
    };
    let store = room.store().await;
    append(&store, "s", events(2)).await;
    save(&store, at(1, "\"good\"")).await;
    for damage in damages {
        save(&store, at(2, "\"better\"")).await;
        assert_eq!(load(&store, None).await, Some(2));
        room.change(&format!("UPDATE {} SET {damage} WHERE version = 2", room.table("snapshots"))).await;
        assert_eq!(load(&store, None).await, Some(1), "{damage}");
    }
}

async fn a_snapshot_of_another_history_is_ignored(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(2)).await;
    save(&store, at(1, "1")).await;
    save(&store, at(2, "2")).await;
    // After a restored backup, version 2 can be another event than the folded one.
    let other = uuid::Uuid::from_u128(7).simple();
    let id = if room.backend() == Backend::Sqlite { format!("x'{other}'") } else { format!("'{other}'") };
    room.change(&format!("UPDATE {} SET event_id = {id} WHERE version = 2", room.table("snapshots"))).await;
    assert_eq!(load(&store, None).await, Some(1));
}

async fn a_snapshot_past_the_streams_end_is_ignored(room: Room) {
    let store = room.store().await;
    append(&store, "s", events(2)).await;
    save(&store, at(1, "1")).await;
    save(&store, at(2, "2")).await;
    room.change(&format!("UPDATE {} SET version = 9 WHERE version = 2", room.table("snapshots"))).await;
    assert_eq!(load(&store, None).await, Some(1));
}
