//! Panics of code that is not ours.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message of a panic, where it was a string.
pub(crate) fn message(payload: &(dyn Any + Send)) -> Option<String> {
    payload
        .downcast_ref::<&'static str>()
        .map(|message| (*message).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
}

/// Runs `f` and turns a panic into its message.
#[inline]
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, Option<String>> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Ok(value),
        Err(payload) => Err(disposed(payload)),
    }
}

/// Drops what a panic carries, and returns its message.
#[cold]
fn disposed(payload: Box<dyn Any + Send>) -> Option<String> {
    let message = message(&*payload);
    // A payload's own destructor may panic too. What that second panic carries is leaked: it could go on for ever.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    message
}
