//! One call of JavaScript: its work in core, then the conversion of its result.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::Result as Caught;

use futures::FutureExt;
use futures::future::CatchUnwind;
use napi::bindgen_prelude::{Array, Null, ToNapiValue};

use crate::error::{Failure, internal};

/// A call whose types are forgotten.
pub(crate) trait Call {
    /// Goes on. Returns whether the call has ended.
    fn go_on(&mut self, context: &mut Context<'_>) -> bool;

    /// Puts the result of an ended call into a list, and null as its error.
    ///
    /// # Errors
    /// If the call failed, panicked, or has a result that JavaScript cannot have.
    fn answer(self: Box<Self>, list: &mut Array<'_>, at: u32) -> Result<(), Failure>;
}

struct Work<F: Future, C> {
    future: Pin<Box<CatchUnwind<AssertUnwindSafe<F>>>>,
    outcome: Option<Caught<F::Output>>,
    convert: C,
}

/// Makes a call. A panic becomes its error.
pub(crate) fn call<T, E, V>(
    convert: impl FnOnce(T) -> V + 'static,
    future: impl Future<Output = Result<T, E>> + 'static,
) -> Box<dyn Call>
where
    T: 'static,
    E: Into<Failure> + 'static,
    V: ToNapiValue + 'static,
{
    Box::new(Work { future: Box::pin(AssertUnwindSafe(future).catch_unwind()), outcome: None, convert })
}

impl<T, E, V, F, C> Call for Work<F, C>
where
    E: Into<Failure>,
    V: ToNapiValue,
    F: Future<Output = Result<T, E>>,
    C: FnOnce(T) -> V,
{
    fn go_on(&mut self, context: &mut Context<'_>) -> bool {
        if self.outcome.is_none()
            && let Poll::Ready(outcome) = self.future.as_mut().poll(context)
        {
            self.outcome = Some(outcome);
        }
        self.outcome.is_some()
    }

    fn answer(self: Box<Self>, list: &mut Array<'_>, at: u32) -> Result<(), Failure> {
        let Self { outcome, convert, .. } = *self;
        let result = match outcome {
            Some(Ok(outcome)) => outcome.map_err(Into::into)?,
            Some(Err(_)) => return Err(internal("the native module panicked")),
            None => return Err(internal("a call that still runs was asked for its answer")),
        };
        let put = AssertUnwindSafe(|| {
            list.set(at, convert(result))?;
            list.set(at + 1, Null)
        });
        match std::panic::catch_unwind(put) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(internal("JavaScript cannot have a value as great as this result")),
            Err(_) => Err(internal("the native module panicked")),
        }
    }
}
