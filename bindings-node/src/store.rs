//! The store.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use napi_derive::napi;
use streamkeep::{AppendResult, EventStore, ImportResult, Snapshot};

use crate::convert::{self, AppendIn, EventIn, OpenIn, ReadIn, SnapshotIn};
use crate::error::internal;
use crate::iteration::{Counted, NativeIteration, Of};
use crate::mailbox::{Calls, NativeMailbox};
use crate::page::{LoadedOut, Page, PageOut, exact};
use crate::runtime::{apart, drop_there};

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
    calls: Rc<Calls>,
    iterations: Arc<AtomicU32>,
}

/// Opens a store. The answer has the number of the call, as that of every call.
#[napi(catch_unwind)]
pub fn open(mailbox: &NativeMailbox, number: u32, url: String, options: OpenIn) -> napi::Result<()> {
    let opening = apart(convert::open(url, options)?.open())?;
    let calls = Rc::clone(mailbox.calls());
    let convert = |store| NativeStore { store: Some(store), calls, iterations: Arc::default() };
    mailbox.calls().start(number, convert, opening)
}

#[napi]
impl NativeStore {
    fn store(&self) -> napi::Result<EventStore> {
        self.store.clone().ok_or_else(|| internal("the store no longer exists").into())
    }

    /// The store, with the timeout of one call.
    fn store_within(&self, timeout_ms: Option<i64>) -> napi::Result<EventStore> {
        let store = self.store()?;
        Ok(match convert::millis("timeout_ms", timeout_ms)? {
            None => store,
            Some(timeout) => store.with_timeout(timeout),
        })
    }

    fn iteration(&self, of: Of) -> NativeIteration {
        NativeIteration::new(of, Counted::one_of(&self.iterations), Rc::clone(&self.calls))
    }

    #[napi(catch_unwind)]
    pub fn append(&self, number: u32, stream: String, events: Vec<EventIn>, options: AppendIn) -> napi::Result<()> {
        let (store, options) = (self.store()?, convert::append_options(options)?);
        let great = convert::are_great(&events);
        let events = events.into_iter().map(convert::event).collect::<napi::Result<Vec<_>>>()?;
        let convert = |done: AppendResult| AppendOut {
            version: exact(done.version),
            position: exact(done.position),
            repeated: done.repeated,
        };
        let append = async move { store.append(stream, events, options).await };
        if great {
            self.calls.start(number, convert, apart(append)?)
        } else {
            self.calls.start(number, convert, append)
        }
    }

    #[napi(catch_unwind)]
    pub fn import_events(&self, number: u32, events: Vec<EventIn>, timeout_ms: Option<i64>) -> napi::Result<()> {
        let store = self.store_within(timeout_ms)?;
        let events = events.into_iter().map(convert::import_event).collect::<napi::Result<Vec<_>>>()?;
        let convert = |done: ImportResult| ImportOut {
            imported: exact(done.imported),
            passed_over: exact(done.passed_over),
            position: exact(done.position),
        };
        self.calls.start(number, convert, apart(async move { store.import_events(events).await })?)
    }

    #[napi(catch_unwind)]
    pub fn read(&self, stream: String, options: ReadIn) -> napi::Result<NativeIteration> {
        let events = self.store()?.read(stream, convert::read_options(&options)?);
        Ok(self.iteration(Of::Read(events)))
    }

    #[napi(catch_unwind)]
    pub fn read_all(&self, options: ReadIn) -> napi::Result<NativeIteration> {
        let events = self.store()?.read_all(convert::read_all_options(options)?);
        Ok(self.iteration(Of::Read(events)))
    }

    #[napi(catch_unwind)]
    pub fn subscribe(&self, options: ReadIn) -> napi::Result<NativeIteration> {
        let subscription = self.store()?.subscribe(convert::subscribe_options(options)?);
        Ok(self.iteration(Of::Subscription(subscription)))
    }

    #[napi(catch_unwind)]
    pub fn read_page(&self, number: u32, options: ReadIn) -> napi::Result<()> {
        let (store, options) = (self.store()?, convert::read_page_options(options)?);
        let reading = apart(async move {
            let page = store.read_page(options).await?;
            Ok(Page::new(page.events, page.caught_up, page.reached))
        })?;
        self.calls.start(number, PageOut::from, reading)
    }

    #[napi(catch_unwind)]
    pub fn save_snapshot(&self, number: u32, snapshot: SnapshotIn, timeout_ms: Option<i64>) -> napi::Result<()> {
        let store = self.store_within(timeout_ms)?;
        let SnapshotIn { stream, version, schema, data } = snapshot;
        let snapshot =
            Snapshot { stream, version: convert::number("version", version)?, schema, data: convert::payload(data) };
        self.calls.start(number, |()| (), async move { store.save_snapshot(snapshot).await })
    }

    #[napi(catch_unwind)]
    pub fn load_snapshot(
        &self,
        number: u32,
        stream: String,
        schema: String,
        at_or_before: Option<i64>,
        timeout_ms: Option<i64>,
    ) -> napi::Result<()> {
        let store = self.store_within(timeout_ms)?;
        let at_or_before = at_or_before.map(|version| convert::number("at_or_before", version)).transpose()?;
        self.calls.start(
            number,
            LoadedOut::from,
            async move { store.load_snapshot(stream, schema, at_or_before).await },
        )
    }

    #[napi(catch_unwind)]
    pub fn head(&self, number: u32, timeout_ms: Option<i64>) -> napi::Result<()> {
        let store = self.store_within(timeout_ms)?;
        self.calls.start(number, exact, async move { store.head().await })
    }

    #[napi(catch_unwind)]
    pub fn close(&self, number: u32) -> napi::Result<()> {
        let store = self.store()?;
        self.calls.start(number, |()| (), async move { store.close().await })
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
