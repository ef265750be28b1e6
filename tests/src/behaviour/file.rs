//! Rules 3 and 26: a store notices that its SQLite file was removed or replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures::TryStreamExt;
use streamkeep::{EventStore, ExpectedVersion, ImportEvent, Outcome, ReadAllOptions, SubscribeOptions};

use super::{append, event, events, log, refused};
use crate::harness::{Backend, Room};
use crate::suite::Case;

const NO_FILE: &[(Backend, &str)] = &[
    (Backend::Memory, "it has no file"),
    (Backend::Postgres, "its files are the server's"),
    (Backend::Mongodb, "its files are the server's"),
];

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        a_file_removed_or_replaced_under_an_open_store_is_corrupt: lacking NO_FILE,
        a_store_whose_file_was_replaced_never_reads_the_other_file: lacking NO_FILE,
        a_file_that_is_moved_back_can_be_used_again: lacking NO_FILE,
    ]
}

type Loss = fn(&Path) -> std::io::Result<()>;

/// The ways in which a file is lost. Each gets the path of the database.
const LOSSES: &[(&str, Loss)] = &[
    ("it was renamed", |file| fs::rename(file, file.with_extension("old"))),
    ("it was removed", |file| fs::remove_file(file)),
    ("its copy replaced it", |file| {
        let copy = file.with_extension("copy");
        in_another_process(Command::new("cp").args([file, &copy]))?;
        fs::rename(copy, file)
    }),
    ("a new file replaced it", |file| {
        let fresh = file.with_extension("fresh");
        fs::write(&fresh, "")?;
        fs::rename(fresh, file)
    }),
    ("its folder was removed", |file| fs::remove_dir_all(file.parent().unwrap_or(file))),
    ("its -wal was removed", |file| fs::remove_file(sibling(file, "-wal"))),
    ("its -shm was removed", |file| fs::remove_file(sibling(file, "-shm"))),
    ("it was emptied", |file| truncate(file, 0)),
    ("it was truncated", |file| truncate(file, 4_096)),
];

/// A process that opens and closes the file releases SQLite's locks on it, so another process does that.
fn in_another_process(command: &mut Command) -> std::io::Result<()> {
    if command.status()?.success() { Ok(()) } else { Err(std::io::Error::other("the command failed")) }
}

fn truncate(file: &Path, length: u64) -> std::io::Result<()> {
    in_another_process(Command::new("truncate").arg(format!("--size={length}")).arg(file))
}

fn sibling(file: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", file.display()))
}

/// A store on a file in its own folder.
async fn open(room: &Room, number: usize) -> (EventStore, PathBuf) {
    let folder = room.folder().join(number.to_string());
    fs::create_dir(&folder).expect("the folder is created");
    let file = folder.join("events.db");
    let options = streamkeep::OpenOptions::new(format!("sqlite:{}", file.display()));
    (options.open().await.expect("the store opens"), file)
}

async fn a_file_removed_or_replaced_under_an_open_store_is_corrupt(room: Room) {
    for (number, (loss, lose)) in LOSSES.iter().enumerate() {
        let (store, file) = open(&room, number).await;
        // A close moves the events from the WAL to the database file.
        append(&store, "s", events(500)).await;
        store.close().await.expect("the store closes");
        let store = EventStore::open(format!("sqlite:{}", file.display())).await.expect("the store opens");
        append(&store, "s", [event(0)]).await;
        lose(&file).expect(loss);
        let lost = refused(store.append("s", [event(1)], ExpectedVersion::Any).await);
        assert_eq!((lost.code(), lost.outcome()), ("corrupt", Outcome::NotApplied), "{loss}: {lost}");
        let lost = refused(store.append("s", [event(2), event(3)], ExpectedVersion::Exact(501)).await);
        assert_eq!((lost.code(), lost.outcome()), ("corrupt", Outcome::NotApplied), "{loss}: {lost}");
        let import = ImportEvent { stream: "i".into(), version: None, recorded_at: None, event: event(4) };
        assert_eq!(refused(store.import_events([import]).await).code(), "corrupt", "{loss}");
        assert_eq!(refused(store.head().await).code(), "corrupt", "{loss}");
        store.close().await.expect("the store closes");
    }
}

async fn a_store_whose_file_was_replaced_never_reads_the_other_file(room: Room) {
    let (store, file) = open(&room, 0).await;
    append(&store, "ours", events(3)).await;
    let mut follow = store.subscribe(SubscribeOptions::default());
    assert_eq!(follow.next_batch().await.expect("the batch is read").map(|batch| batch.events.len()), Some(3));
    let (other, other_file) = open(&room, 1).await;
    append(&other, "theirs", events(9)).await;
    other.close().await.expect("the store closes");
    fs::rename(other_file, &file).expect("the other file is renamed");
    for _ in 0..20 {
        let read: Result<Vec<_>, _> = store.read_all(ReadAllOptions::default()).try_collect().await;
        assert_eq!(refused(read).code(), "corrupt");
    }
    let ended = loop {
        match follow.next_batch().await {
            Ok(Some(batch)) => assert!(batch.events.is_empty(), "{:?}", batch.events),
            Ok(None) => panic!("the subscription ended without an error"),
            Err(error) => break error,
        }
    };
    assert_eq!(ended.code(), "corrupt");
    drop(follow);
    store.close().await.expect("the store closes");
    let other = EventStore::open(format!("sqlite:{}", file.display())).await.expect("the other file opens");
    assert_eq!(log(&other).await.len(), 9, "the other file is unchanged");
    other.close().await.expect("the store closes");
}

async fn a_file_that_is_moved_back_can_be_used_again(room: Room) {
    let (store, file) = open(&room, 0).await;
    append(&store, "s", events(3)).await;
    let away = file.with_extension("away");
    fs::rename(&file, &away).expect("the file is moved away");
    assert_eq!(refused(store.append("s", [event(4)], ExpectedVersion::Any).await).code(), "corrupt");
    fs::rename(&away, &file).expect("the file is moved back");
    assert_eq!(append(&store, "s", [event(4)]).await.version, 4);
    assert_eq!(log(&store).await.len(), 4);
    store.close().await.expect("the store closes");
}
