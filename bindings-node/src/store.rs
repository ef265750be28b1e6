//! The store.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi_derive::napi;
use streamkeep::{AppendResult, EventStore, ImportResult, Snapshot};
use tokio_util::sync::CancellationToken;

use crate::convert::{self, AppendIn, EventIn, OpenIn, ReadIn, SnapshotIn};
use crate::iteration::{Counted, NativeIteration, Of};
use crate::page::{LoadedOut, Page, PageOut, exact};
use crate::runtime::{drop_there, promise, unless_cancelled};

/// Withdraws a call. An append that still waits is withdrawn; one that was sent runs to its end.
#[napi]
#[derive(Default)]
pub struct NativeCancel {
    token: CancellationToken,
}

#[napi]
impl NativeCancel {
    #[napi(constructor, catch_unwind)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.token.cancel();
    }
}

#[napi(object, object_from_js = false)]
pub struct AppendOut {
    pub version: f64,
    pub position: f64,
    pub repeated: bool,
}

#[napi(object, object_from_js = false)]
pub struct ImportOut {
    pub imported: f64,
    pub passed_over: f64,
    pub position: f64,
}

/// An open store.
#[napi]
pub struct NativeStore {
    store: Option<EventStore>,
    iterations: Arc<AtomicU32>,
}

/// Opens a store.
#[napi(catch_unwind)]
pub fn open<'env>(
    env: &'env Env,
    url: String,
    options: OpenIn,
    cancel: Option<&NativeCancel>,
) -> napi::Result<Object<'env>> {
    let options = convert::open(url, options)?;
    cancellable(env, cancel, NativeStore::new, options.open())
}

/// Runs a call. The answer of one that is cancelled is null.
fn cancellable<'env, V, T>(
    env: &'env Env,
    cancel: Option<&NativeCancel>,
    convert: fn(V) -> T,
    call: impl Future<Output = streamkeep::Result<V>> + Send + 'static,
) -> napi::Result<Object<'env>>
where
    V: Send + 'static,
    T: ToNapiValue + 'static,
{
    let token = cancel.map(|cancel| cancel.token.clone());
    promise(env, move |answer: Option<V>| answer.map(convert), unless_cancelled(token, call))
}

#[napi]
impl NativeStore {
    fn new(store: EventStore) -> Self {
        Self { store: Some(store), iterations: Arc::default() }
    }

    fn store(&self) -> napi::Result<EventStore> {
        self.store.clone().ok_or_else(|| crate::error::internal("the store no longer exists"))
    }

    /// The store, with the timeout of one call.
    fn store_within(&self, timeout_ms: Option<i64>) -> napi::Result<EventStore> {
        let store = self.store()?;
        Ok(match convert::millis("timeout_ms", timeout_ms)? {
            None => store,
            Some(timeout) => store.with_timeout(timeout),
        })
    }

    #[napi(catch_unwind)]
    pub fn append<'env>(
        &self,
        env: &'env Env,
        stream: String,
        events: Vec<EventIn>,
        options: AppendIn,
        cancel: Option<&NativeCancel>,
    ) -> napi::Result<Object<'env>> {
        let (store, options) = (self.store()?, convert::append_options(options)?);
        let events = events.into_iter().map(convert::event).collect::<napi::Result<Vec<_>>>()?;
        let convert = |done: AppendResult| AppendOut {
            version: exact(done.version),
            position: exact(done.position),
            repeated: done.repeated,
        };
        cancellable(env, cancel, convert, async move { store.append(stream, events, options).await })
    }

    #[napi(catch_unwind)]
    pub fn import_events<'env>(
        &self,
        env: &'env Env,
        events: Vec<EventIn>,
        timeout_ms: Option<i64>,
        cancel: Option<&NativeCancel>,
    ) -> napi::Result<Object<'env>> {
        let store = self.store_within(timeout_ms)?;
        let events = events.into_iter().map(convert::import_event).collect::<napi::Result<Vec<_>>>()?;
        let convert = |done: ImportResult| ImportOut {
            imported: exact(done.imported),
            passed_over: exact(done.passed_over),
            position: exact(done.position),
        };
        cancellable(env, cancel, convert, async move { store.import_events(events).await })
    }

    #[napi(catch_unwind)]
    pub fn read(&self, stream: String, options: ReadIn) -> napi::Result<NativeIteration> {
        let events = self.store()?.read(stream, convert::read_options(&options)?);
        Ok(NativeIteration::new(Of::Read(events), Counted::one_of(&self.iterations)))
    }

    #[napi(catch_unwind)]
    pub fn read_all(&self, options: ReadIn) -> napi::Result<NativeIteration> {
        let events = self.store()?.read_all(convert::read_all_options(options)?);
        Ok(NativeIteration::new(Of::Read(events), Counted::one_of(&self.iterations)))
    }

    #[napi(catch_unwind)]
    pub fn subscribe(&self, options: ReadIn) -> napi::Result<NativeIteration> {
        let subscription = self.store()?.subscribe(convert::subscribe_options(options)?);
        Ok(NativeIteration::new(Of::Subscription(subscription), Counted::one_of(&self.iterations)))
    }

    #[napi(catch_unwind)]
    pub fn read_page<'env>(
        &self,
        env: &'env Env,
        options: ReadIn,
        cancel: Option<&NativeCancel>,
    ) -> napi::Result<Object<'env>> {
        let (store, options) = (self.store()?, convert::read_page_options(options)?);
        cancellable(env, cancel, PageOut::from, async move {
            let page = store.read_page(options).await?;
            Ok(Page::new(page.events, page.caught_up, page.reached))
        })
    }

    #[napi(catch_unwind)]
    pub fn save_snapshot<'env>(
        &self,
        env: &'env Env,
        snapshot: SnapshotIn,
        timeout_ms: Option<i64>,
        cancel: Option<&NativeCancel>,
    ) -> napi::Result<Object<'env>> {
        let store = self.store_within(timeout_ms)?;
        let SnapshotIn { stream, version, schema, data } = snapshot;
        let snapshot =
            Snapshot { stream, version: convert::number("version", version)?, schema, data: convert::payload(data) };
        cancellable(env, cancel, |()| (), async move { store.save_snapshot(snapshot).await })
    }

    #[napi(catch_unwind)]
    pub fn load_snapshot<'env>(
        &self,
        env: &'env Env,
        stream: String,
        schema: String,
        at_or_before: Option<i64>,
        timeout_ms: Option<i64>,
        cancel: Option<&NativeCancel>,
    ) -> napi::Result<Object<'env>> {
        let store = self.store_within(timeout_ms)?;
        let at_or_before = at_or_before.map(|version| convert::number("at_or_before", version)).transpose()?;
        cancellable(
            env,
            cancel,
            LoadedOut::from,
            async move { store.load_snapshot(stream, schema, at_or_before).await },
        )
    }

    #[napi(catch_unwind)]
    pub fn head<'env>(
        &self,
        env: &'env Env,
        timeout_ms: Option<i64>,
        cancel: Option<&NativeCancel>,
    ) -> napi::Result<Object<'env>> {
        let store = self.store_within(timeout_ms)?;
        cancellable(env, cancel, exact, async move { store.head().await })
    }

    #[napi(catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let store = self.store()?;
        promise(env, |()| (), async move { store.close().await })
    }

    #[napi(catch_unwind)]
    pub fn is_closed(&self) -> napi::Result<bool> {
        Ok(self.store()?.is_closed())
    }

    /// How many reads and subscriptions exist, for the tests of this package.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations.load(Ordering::SeqCst)
    }
}

impl Drop for NativeStore {
    fn drop(&mut self) {
        drop_there(self.store.take());
    }
}
