//! Stores on the same SQLite file in one process share its connections.

use std::fs;
use std::path::Path;
use std::time::Duration;

use futures::poll;
use streamkeep::{EventStore, ExpectedVersion, OpenOptions};

use super::{append, event};
use crate::harness::{Backend, Room};
use crate::suite::Case;

const NO_FILE: &[(Backend, &str)] = &[
    (Backend::Memory, "it has no file"),
    (Backend::Postgres, "its files are the server's"),
    (Backend::Mongodb, "its files are the server's"),
];

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        namespaces_of_a_file_share_its_connections: lacking NO_FILE,
        an_open_waits_for_no_write_to_another_namespace: lacking NO_FILE,
    ]
}

/// How many times this process has the file open, as Linux reports it.
fn times_open(file: &Path) -> usize {
    let file = file.canonicalize().expect("the file exists");
    let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    open.filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == file)).count()
}

/// Opens a namespace and uses both the connection for writes and one for reads.
async fn open_and_use(file: &Path, namespace: &str) -> EventStore {
    let options = OpenOptions::new(format!("sqlite:{}", file.display())).namespace(namespace);
    let store = options.open().await.expect("the store opens");
    append(&store, "s", [event(0)]).await;
    assert_eq!(store.head().await.expect("the head is read"), 1, "the head of {namespace}");
    store
}

async fn namespaces_of_a_file_share_its_connections(room: Room) {
    let file = room.folder().join("shared.db");
    let first = open_and_use(&file, "first").await;
    let before = times_open(&file);
    let mut others = Vec::new();
    for namespace in ["second", "third", "fourth"] {
        others.push(open_and_use(&file, namespace).await);
    }
    assert_eq!(times_open(&file), before, "three more namespaces open no connections");
    first.close().await.expect("the store closes");
    for store in &others {
        append(store, "s", [event(1)]).await;
    }
    for store in others {
        store.close().await.expect("the store closes");
    }
    assert_eq!(times_open(&file), 0, "every connection is closed");
}

async fn an_open_waits_for_no_write_to_another_namespace(room: Room) {
    let named = |name: &str| room.options().namespace(name);
    let first = room.store().await;
    named("second").open().await.expect("the store opens").close().await.expect("the store closes");
    let lock = room.lock_out_writers().await;
    let mut append = Box::pin(first.append("s", [event(1)], ExpectedVersion::Any));
    assert!(poll!(&mut append).is_pending());
    let made = tokio::spawn(named("third").open());
    // Both wait for the lock by the time of one of these.
    for _ in 0..50 {
        let second =
            named("second").timeout(Duration::from_secs(5)).open().await.expect("a namespace that is there opens");
        assert_eq!(second.head().await.expect("the head is read"), 0);
        second.close().await.expect("the store closes");
    }
    lock.release().await;
    assert_eq!(append.await.expect("the append commits").version, 1);
    made.await.expect("the task ends without a panic").expect("a new namespace opens");
}
