//! Opening a file, and what is set on it.

use super::*;

#[tokio::test]
async fn eight_stores_may_open_a_new_file_at_once() {
    let folder = Folder::new();
    let stores = join_all(
        (0..8).map(|n| OpenOptions::new(folder.url()).namespace(if n % 2 == 0 { "even" } else { "odd" }).open()),
    )
    .await;
    let stores: Vec<EventStore> = stores.into_iter().collect::<Result<_, _>>().unwrap();
    let appends = join_all(stores.iter().map(|store| store.append("s-1", [event()], ExpectedVersion::Any))).await;
    let versions: HashSet<u64> = appends.into_iter().map(|answer| answer.unwrap().version).collect();
    assert_eq!(versions, HashSet::from([1, 2, 3, 4]), "four in each of two namespaces");
    for store in stores {
        store.close().await.unwrap();
    }
    let mut other = folder.connect().await;
    let rows = sqlx::query("SELECT name FROM streamkeep_namespaces ORDER BY name").fetch_all(&mut other).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>(), ["even", "odd"]);
    other.close().await.unwrap();
}

#[tokio::test]
async fn opening_without_create_writes_nothing() {
    let folder = Folder::new();
    let open = || OpenOptions::new(folder.url()).create(false).open();
    assert_eq!(open().await.unwrap_err().code(), "config");
    assert!(!folder.file().exists());
    EventStore::open(folder.url()).await.unwrap().close().await.unwrap();
    let before = std::fs::read(folder.file()).unwrap();
    assert_eq!(
        OpenOptions::new(folder.url()).namespace("other").create(false).open().await.unwrap_err().code(),
        "config"
    );
    open().await.unwrap().close().await.unwrap();
    assert_eq!(std::fs::read(folder.file()).unwrap(), before);
}

#[tokio::test]
async fn a_file_of_another_program_or_of_a_newer_library_is_refused() {
    let folder = Folder::new();
    let mut other = folder.connect().await;
    run(&mut other, "CREATE TABLE theirs (a)").await;
    assert_eq!(EventStore::open(folder.url()).await.unwrap_err().code(), "config");
    run(&mut other, "DROP TABLE theirs; VACUUM").await;
    EventStore::open(folder.url()).await.unwrap().close().await.unwrap();
    run(&mut other, "UPDATE streamkeep_namespaces SET format = 9, min_reader = 8").await;
    let refusal = EventStore::open(folder.url()).await.unwrap_err();
    assert_eq!(refusal.code(), "config");
    assert!(refusal.message().contains("format 8") && refusal.message().contains("has format 1"), "{refusal}");
    other.close().await.unwrap();
}

#[tokio::test]
async fn every_connection_syncs_its_commits() {
    let folder = Folder::new();
    let backend = folder.backend().await;
    for pool in [&backend.file.writer, &backend.file.readers] {
        let mut lease = pool.lease(soon()).await.unwrap();
        let settings =
            "SELECT (SELECT synchronous FROM pragma_synchronous), (SELECT journal_mode FROM pragma_journal_mode)";
        let rows = sqlx::query(settings).fetch_all(&mut lease.connection).await.unwrap();
        assert_eq!((rows[0].get::<i64, _>(0), rows[0].get::<String, _>(1).as_str()), (2, "wal"), "2 is FULL");
        lease.give_back();
    }
    backend.close().await;
}

#[tokio::test]
async fn no_event_can_be_deleted_by_another_program() {
    let folder = Folder::new();
    let store = EventStore::open(folder.url()).await.unwrap();
    store.append("s-1", [event()], ExpectedVersion::Any).await.unwrap();
    store.close().await.unwrap();
    let mut other = folder.connect().await;
    let refused = sqlx::query("DELETE FROM streamkeep_default_events").execute(&mut other).await.unwrap_err();
    assert!(refused.to_string().contains("events are never deleted"), "{refused}");
    other.close().await.unwrap();
}
