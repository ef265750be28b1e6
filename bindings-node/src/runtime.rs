//! The runtime that all environments of the process share, and the promises for its results.
//!
//! It belongs to this package and exists as long as the process. So the main thread and each worker thread can load
//! this library and end at any time, and none waits for the threads of another. It holds no JavaScript value, and napi
//! keeps the library mapped. Its threads do not keep the event loop alive; only a pending promise does.

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use futures::FutureExt;
use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::error::{from_core, internal};

/// The environment variable for the number of threads. The default is the number of cores, but 2 to 4.
const THREADS_VARIABLE: &str = "STREAMKEEP_THREADS";

static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    let asked =
        std::env::var(THREADS_VARIABLE).ok().and_then(|threads| threads.parse().ok()).filter(|threads| *threads > 0);
    let threads = asked.unwrap_or_else(|| available_parallelism().map_or(2, usize::from).clamp(2, 4));
    Builder::new_multi_thread().worker_threads(threads).thread_name("streamkeep").enable_all().build()
});

/// The runtime.
pub(crate) fn runtime() -> napi::Result<&'static Runtime> {
    RUNTIME.as_ref().map_err(|_| internal("the threads of the runtime could not be started"))
}

/// Runs a future on the runtime and returns a promise of its result, which is converted on JavaScript's thread.
///
/// A panic rejects the promise. If the environment ends first, the result is dropped.
///
/// # Errors
/// If the environment is ending or the runtime could not be started.
pub fn promise<'env, V, T, F>(
    env: &'env Env,
    convert: impl FnOnce(V) -> T + Send + 'static,
    future: F,
) -> napi::Result<Object<'env>>
where
    V: Send + 'static,
    T: ToNapiValue + 'static,
    F: Future<Output = streamkeep::Result<V>> + Send + 'static,
{
    let runtime = runtime()?;
    let (deferred, promise) = env.create_deferred()?;
    runtime.spawn(async move {
        match AssertUnwindSafe(future).catch_unwind().await {
            Ok(Ok(value)) => deferred.resolve(move |_| Ok(convert(value))),
            Ok(Err(error)) => deferred.reject(from_core(&error)),
            Err(_) => deferred.reject(internal("the native module panicked")),
        }
    });
    Ok(promise)
}

/// Waits for a future until it is cancelled. Then it drops the future and returns `None`.
pub(crate) async fn unless_cancelled<T>(
    token: Option<CancellationToken>,
    future: impl Future<Output = streamkeep::Result<T>>,
) -> streamkeep::Result<Option<T>> {
    match token {
        None => future.await.map(Some),
        Some(token) => token.run_until_cancelled(future).await.transpose(),
    }
}

/// Drops a value on the runtime, because a store or reader may have to notify a task.
pub(crate) fn drop_there<T: Send + 'static>(value: T) {
    if let Ok(runtime) = runtime() {
        runtime.spawn(async move { drop(value) });
    }
}
