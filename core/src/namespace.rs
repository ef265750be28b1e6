//! One namespace of one database: what all of its handles in this process share.

use std::sync::Arc;

use tokio::runtime::Handle as Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::append_queue::AppendQueue;
use crate::backend::{EventBackend, NamespaceBackends, SnapshotBackend};
use crate::hints::Hints;
use crate::tail::Tail;

/// An open namespace: its backends, its append queue, and what feeds its subscriptions.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) events: Arc<dyn EventBackend>,
    pub(crate) snapshots: Arc<dyn SnapshotBackend>,
    pub(crate) queue: AppendQueue,
    pub(crate) hints: Arc<Hints>,
    pub(crate) tail: Arc<Tail>,
    /// Cancelled when the last handle is closed.
    closed: CancellationToken,
    tasks: TaskTracker,
}

impl Namespace {
    pub(crate) fn new(NamespaceBackends { events, snapshots }: NamespaceBackends, runtime: &Runtime) -> Self {
        let tasks = TaskTracker::new();
        let (hints, closed) = (Arc::new(Hints::default()), CancellationToken::new());
        let queue = AppendQueue::new(Arc::clone(&events), Arc::clone(&hints), runtime.clone(), tasks.clone());
        let tail = Tail::new(Arc::clone(&events), Arc::clone(&hints), tasks.clone(), closed.clone(), runtime.clone());
        Self { events, snapshots, queue, hints, tail: Arc::new(tail), closed, tasks }
    }

    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Ends the namespace's own tasks and waits for them. No handle uses it any more.
    pub(crate) async fn close(&self) {
        self.closed.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.events.close().await;
    }
}
