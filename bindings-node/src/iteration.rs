//! Iterations: reads and subscriptions, which TypeScript pulls page by page.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use napi_derive::napi;
use streamkeep::{Events, Subscription};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::mailbox::Calls;
use crate::page::{Page, PageOut};
use crate::runtime::{apart, runtime};

/// A read or a subscription. Closing it, or its garbage collection, ends the work behind it.
#[napi]
pub struct NativeIteration {
    source: Arc<Mutex<Option<Source>>>,
    ended: CancellationToken,
    calls: Rc<Calls>,
}

/// The source of the events. It counts as one of its store's iterations while it exists.
pub(crate) struct Source {
    of: Of,
    _counted: Counted,
}

pub(crate) enum Of {
    Read(Events),
    Subscription(Subscription),
}

/// Counts a value while it exists.
pub(crate) struct Counted(Arc<AtomicU32>);

impl Counted {
    pub(crate) fn one_of(count: &Arc<AtomicU32>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Source {
    async fn next(&mut self) -> streamkeep::Result<Option<Page>> {
        Ok(match &mut self.of {
            Of::Read(events) => events.next_page().await?.map(|events| Page::new(events, false, 0)),
            Of::Subscription(subscription) => {
                subscription.next_batch().await?.map(|batch| Page::new(batch.events, batch.caught_up, 0))
            }
        })
    }
}

#[napi]
impl NativeIteration {
    pub(crate) fn new(of: Of, counted: Counted, calls: Rc<Calls>) -> Self {
        let source = Arc::new(Mutex::new(Some(Source { of, _counted: counted })));
        Self { source, ended: CancellationToken::new(), calls }
    }

    /// Returns the next page; `None` at the end and after a close.
    #[napi(catch_unwind)]
    pub fn next(&self, number: u32) -> napi::Result<()> {
        let (source, ended) = (Arc::clone(&self.source), self.ended.clone());
        let pull = apart(async move {
            let mut source = source.lock().await;
            let page = match source.as_mut() {
                None => Ok(None),
                Some(source) => ended.run_until_cancelled(source.next()).await.unwrap_or(Ok(None)),
            };
            if !matches!(page, Ok(Some(_))) {
                *source = None;
            }
            page
        })?;
        self.calls.start(number, |page: Option<Page>| page.map(PageOut::from), pull)
    }

    /// Ends the iteration. A caller that waits for a page gets the end.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.end();
    }

    fn end(&self) {
        self.ended.cancel();
        let source = Arc::clone(&self.source);
        if let Ok(runtime) = runtime() {
            // The lock waits for a running pull, which ends now. The source is dropped on the runtime, because it may
            // have to notify a task.
            runtime.spawn(async move { source.lock().await.take() });
        }
    }
}

impl Drop for NativeIteration {
    fn drop(&mut self) {
        self.end();
    }
}
