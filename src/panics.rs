//! Catches panics of code that is not from this crate.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Returns the message of a panic, if that was a string.
pub(crate) fn message(payload: &(dyn Any + Send)) -> Option<String> {
    payload
        .downcast_ref::<&'static str>()
        .map(|message| (*message).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
}

/// Runs `f`. If it panics, returns the message of the panic.
#[inline]
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, Option<String>> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Ok(value),
        Err(payload) => Err(dispose(payload)),
    }
}

/// Drops the payload of a panic, and returns its message.
#[cold]
fn dispose(payload: Box<dyn Any + Send>) -> Option<String> {
    let message = message(&*payload);
    // The destructor of a payload may panic too. The payload of that second panic is leaked, because its destructor may
    // panic again.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    message
}
