//! Appends to several namespaces in one transaction.

use tokio::time::sleep_until;

use super::super::joint::{Joint, NamespaceGroup};
use super::*;

/// Namespaces of one file, of which the first is the backend's own.
async fn namespaces<const N: usize>(folder: &Folder, names: [&str; N]) -> (Sqlite, [Arc<Sql>; N]) {
    for name in names {
        OpenOptions::new(folder.url()).namespace(name).open().await.unwrap().close().await.unwrap();
    }
    (folder.backend().await, names.map(|name| Arc::new(Sql::new(name))))
}

fn group(sql: &Arc<Sql>, requests: Vec<AppendRequest>) -> NamespaceGroup {
    NamespaceGroup { sql: Arc::clone(sql), requests }
}

fn one(stream: &str) -> Vec<AppendRequest> {
    vec![request(stream, ExpectedVersion::Any, vec![event()])]
}

fn is_written(joint: &Joint) -> bool {
    matches!(joint, Joint::Written(_))
}

fn is_left_without_doubt(joint: &Joint) -> bool {
    matches!(joint, Joint::Left { doubt: false })
}

#[tokio::test]
async fn a_group_that_is_soon_late_ends_no_joint_write_of_others() {
    let folder = Folder::new();
    let (backend, [north, south]) = namespaces(&folder, ["north", "south"]).await;
    let mut other = folder.connect().await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    let (mut near, far) = (one("s-1"), one("s-1"));
    near[0].deadline = Instant::now() + BUSY_SLICE;
    let late = near[0].deadline;
    let release = async {
        sleep_until(late).await;
        // The driver's thread ends the wait that it has begun.
        run(&mut other, "COMMIT").await;
    };
    let (joint, ()) = futures::join!(backend.write_jointly(vec![group(&north, near), group(&south, far)]), release);
    assert!(is_left_without_doubt(&joint[0]) && is_written(&joint[1]), "{joint:?}");
    other.close().await.unwrap();
    backend.close().await;
}

#[tokio::test]
async fn only_the_namespace_that_repeats_known_ids_leaves_a_joint_write() {
    let folder = Folder::new();
    let (backend, [north, east, south]) = namespaces(&folder, ["north", "east", "south"]).await;
    let repeated = one("s-1");
    let first = backend.write_jointly(vec![group(&north, repeated.clone()), group(&south, one("s-1"))]).await;
    assert!(first.iter().all(is_written), "{first:?}");
    let groups = vec![group(&south, one("s-1")), group(&north, repeated), group(&east, one("s-1"))];
    let joint = backend.write_jointly(groups).await;
    assert!(is_written(&joint[0]) && is_left_without_doubt(&joint[1]) && is_written(&joint[2]), "{joint:?}");
    backend.close().await;
}
