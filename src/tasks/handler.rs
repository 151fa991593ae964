//! A handler that becomes a task when its client has left.

use std::cell::Cell;
use std::future::Future;
use std::panic::Location;

use super::kind::Plain;
use super::spawning::spawn_in;
use crate::request::context::Context;
use crate::request::task::TaskSpec;
use crate::trace;

thread_local! {
    /// How many handlers have become tasks on this thread.
    static RESTS_SPAWNED: Cell<usize> = const { Cell::new(0) };
}

/// Returns how often [`spawn_rest`] was called on this thread. If the number grows while a future is dropped, a handler
/// in that future runs on, in its own request or in another one.
pub(crate) fn rests_spawned() -> usize {
    RESTS_SPAWNED.try_with(Cell::get).unwrap_or(0)
}

/// Spawns the rest of a handler as a task of the current request. No policy for a disconnect aborts this task. Outside
/// of a request it runs untracked, and a warning is logged as for any other spawn there.
///
/// # Panics
///
/// Panics outside of a tokio runtime.
pub(crate) fn spawn_rest<F>(rest: F, location: &'static Location<'static>)
where
    F: Future + Send + 'static,
{
    let _ = RESTS_SPAWNED.try_with(|count| count.set(count.get().wrapping_add(1)));
    let context = Context::current();
    if context.is_outside() {
        trace::outside_a_request(location);
    }
    let spec = TaskSpec {
        name: Some("run_to_completion"),
        location,
        is_handler: true,
        ..TaskSpec::here()
    };
    // In the task, so that the answer is dropped in the request's context.
    let task = async move { drop(rest.await) };
    drop(spawn_in::<_, Plain>(context.request(), spec, task));
}
