//! The loop of every read and subscription: the next items are fetched in a task while the caller handles the current
//! ones.
//!
//! Nothing is fetched before the first pull. A reader that is dropped or stopped ends its task at once. A statement
//! that runs in the database runs to its end, and no other follows.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::faults::planted;
use crate::handle::Handle;

/// The state of a reader, and how to get its next items.
pub(crate) trait Source: Send + Sized + 'static {
    /// The items of the reader.
    type Item: Send + 'static;

    /// Whether the source gets its items without asking the database. Nothing is fetched ahead then.
    fn is_live(&self) -> bool {
        false
    }

    /// Takes the items of a live source, at least one, or waits for them. `None` if they have to be fetched.
    fn poll_live(&mut self, _context: &mut Context<'_>) -> Poll<Option<Vec<Self::Item>>> {
        Poll::Ready(None)
    }

    /// Reads until there are items, until the source is live, or until nothing is left. It runs in a task and can be
    /// dropped half way.
    fn fetch(self: Box<Self>, handle: Arc<Handle>) -> impl Future<Output = Result<Fetched<Self>>> + Send;
}

/// The items that a source gave, and its next state; none at the end.
pub(crate) struct Fetched<S: Source> {
    pub(crate) items: Vec<S::Item>,
    pub(crate) next: Option<Box<S>>,
}

/// Items that a caller pulls. It buffers what was fetched last, while the next fetch runs.
pub(crate) struct Pull<S: Source> {
    handle: Arc<Handle>,
    /// The method that the reader's errors name.
    operation: &'static str,
    buffer: VecDeque<S::Item>,
    next: Next<S>,
    stopped: CancellationToken,
    /// Ends the wait of a live reader that was stopped or whose handle was closed.
    ended: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Where the items after the buffered ones come from.
enum Next<S: Source> {
    /// Not requested yet, or live.
    At(Box<S>),
    /// Requested. `None` if the reader was stopped.
    Coming(JoinHandle<Option<Result<Fetched<S>>>>),
    /// The read was refused before anything was read.
    Refused(Error),
    Nothing,
}

impl<S: Source> fmt::Debug for Pull<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pull")
            .field("buffered", &self.buffer.len())
            .field("stopped", &self.stopped.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl<S: Source> Pull<S> {
    pub(crate) fn new(handle: Arc<Handle>, operation: &'static str, source: Result<S>) -> Self {
        let next = source.map_or_else(Next::Refused, |source| Next::At(Box::new(source)));
        Self { handle, operation, buffer: VecDeque::new(), next, stopped: CancellationToken::new(), ended: None }
    }

    /// The error of the first pull, if what the caller asked for was refused.
    pub(crate) fn refusal(&self) -> Option<Error> {
        match &self.next {
            Next::Refused(error) => Some(error.clone().with_operation(self.operation)),
            Next::At(_) | Next::Coming(_) | Next::Nothing => None,
        }
    }

    /// Ends the reader without an error when the token is cancelled. A caller that waits for the next item gets the
    /// end.
    pub(crate) fn stopped(&self) -> &CancellationToken {
        &self.stopped
    }

    /// Takes all that is buffered.
    pub(crate) fn take(&mut self) -> VecDeque<S::Item> {
        std::mem::take(&mut self.buffer)
    }

    /// Takes the next item; `None` at the end.
    pub(crate) fn poll_item(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<S::Item>>> {
        match ready!(self.poll_buffer(context)) {
            Ok(()) => Poll::Ready(self.buffer.pop_front().map(Ok)),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    /// Waits until the buffer has items. It stays empty at the end.
    pub(crate) fn poll_buffer(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.handle.engine.forked() && self.stopped.is_cancelled() {
            self.end();
            return Poll::Ready(Ok(()));
        }
        if let Err(closed) = self.handle.check_open() {
            let ended = matches!(self.next, Next::Nothing) && self.buffer.is_empty();
            self.end();
            return Poll::Ready(if ended { Ok(()) } else { Err(closed.with_operation(self.operation)) });
        }
        while self.buffer.is_empty() {
            match std::mem::replace(&mut self.next, Next::Nothing) {
                Next::Nothing => break,
                Next::Refused(error) => return Poll::Ready(Err(error.with_operation(self.operation))),
                Next::At(mut source) => match source.poll_live(context) {
                    Poll::Ready(None) => self.next = self.ask(source),
                    Poll::Ready(Some(items)) => {
                        self.buffer = items.into();
                        self.next = Next::At(source);
                    }
                    Poll::Pending => {
                        self.next = Next::At(source);
                        ready!(self.poll_ended(context));
                        return self.poll_buffer(context);
                    }
                },
                Next::Coming(mut task) => {
                    let Poll::Ready(outcome) = Pin::new(&mut task).poll(context) else {
                        self.next = Next::Coming(task);
                        return Poll::Pending;
                    };
                    let panicked = |panic| Some(Err(Error::internal("a reader's task panicked").with_cause(panic)));
                    let Some(fetched) = outcome.unwrap_or_else(panicked) else { break };
                    let fetched = fetched.map_err(|error| error.with_operation(self.operation))?;
                    self.buffer = fetched.items.into();
                    self.next = match fetched.next {
                        Some(source) if source.is_live() => Next::At(source),
                        Some(source) => self.ask(source),
                        None => Next::Nothing,
                    };
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn ask(&self, source: Box<S>) -> Next<S> {
        let (handle, stopped) = (Arc::clone(&self.handle), self.stopped.clone());
        Next::Coming(self.handle.engine.runtime.spawn(async move {
            let closed = handle.engine.closed.clone();
            tokio::select! {
                biased;
                () = stopped.cancelled() => None,
                () = closed.cancelled() => Some(Err(Error::closed())),
                fetched = source.fetch(handle) => Some(fetched),
            }
        }))
    }

    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let ended = self.ended.get_or_insert_with(|| {
            let (stopped, closed) = (self.stopped.clone(), self.handle.engine.closed.clone());
            Box::pin(async move {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = closed.cancelled() => {}
                }
            })
        });
        ended.as_mut().poll(context)
    }

    fn end(&mut self) {
        self.buffer.clear();
        let next = std::mem::replace(&mut self.next, Next::Nothing);
        if self.handle.engine.forked() {
            // All of this belongs to the parent process. One of its threads may have held a lock at the fork, which is
            // never released here.
            std::mem::forget((next, self.ended.take()));
        }
    }
}

impl<S: Source> Drop for Pull<S> {
    fn drop(&mut self) {
        if self.handle.engine.forked() {
            self.end();
        } else if !planted("reader-runs-on") {
            self.stopped.cancel();
        }
    }
}
