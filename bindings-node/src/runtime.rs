//! The runtime that all environments of the process share.
//!
//! It belongs to this package and exists as long as the process. So the main thread and each worker thread can load
//! this library and end at any time, and none waits for the threads of another. It holds no JavaScript value, and napi
//! keeps the library mapped. Its threads do not keep the event loop alive; only a call whose answer is awaited does.

use std::future::Future;
use std::sync::LazyLock;

use tokio::runtime::Runtime;
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Failure, config, internal};

static RUNTIME: LazyLock<Result<Runtime, Failure>> = LazyLock::new(|| {
    let mut builder = bindings_common::runtime::builder().map_err(|wrong| config(&wrong.to_string()))?;
    builder.build().map_err(|_| internal("the threads of the runtime could not be started"))
});

/// The runtime.
pub(crate) fn runtime() -> napi::Result<&'static Runtime> {
    RUNTIME.as_ref().map_err(|failure| failure.clone().into())
}

/// Runs work that computes for long, as opening, importing and converting a page do, in a task, so that JavaScript's
/// thread does not wait for it. Dropping the future ends the task.
pub(crate) fn apart<T: Send + 'static>(
    work: impl Future<Output = streamkeep::Result<T>> + Send + 'static,
) -> napi::Result<impl Future<Output = Result<T, Failure>>> {
    let task = AbortOnDropHandle::new(runtime()?.spawn(work));
    Ok(async move { task.await.map_err(|_| internal("the native module panicked"))?.map_err(Failure::from) })
}

/// Drops a value on the runtime, because a store or reader may have to notify a task.
pub(crate) fn drop_there<T: Send + 'static>(value: T) {
    if let Ok(runtime) = runtime() {
        runtime.spawn(async move { drop(value) });
    }
}
