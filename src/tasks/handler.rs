//! A handler whose client has left, as a task.

use std::borrow::Cow;
use std::cell::Cell;
use std::future::Future;
use std::panic::Location;

use super::kind::Plain;
use super::spawning::spawn_in;
use crate::request::context::Context;
use crate::request::task::TaskSpec;
use crate::trace;

thread_local! {
    /// How many handlers have become tasks here.
    static RAN_ON: Cell<usize> = const { Cell::new(0) };
}

/// How many handlers have become tasks on this thread: more than before a future was dropped, if one in it runs on,
/// whatever request it runs on in.
pub(crate) fn ran_on() -> usize {
    RAN_ON.try_with(Cell::get).unwrap_or(0)
}

/// Spawns the rest of a handler as a task of the current request, which is spared when the client
/// leaves. Outside of a request it runs, tracked by nothing, with the warning of any other spawn there.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub(crate) fn run_on<F>(rest: F, location: &'static Location<'static>)
where
    F: Future + Send + 'static,
{
    let _ = RAN_ON.try_with(|count| count.set(count.get().wrapping_add(1)));
    let context = Context::current();
    if context.is_outside() {
        trace::outside_a_request(location);
    }
    let spec = TaskSpec {
        name: Some(Cow::Borrowed("run_to_completion")),
        location,
        is_handler: true,
        ..TaskSpec::here()
    };
    // Its answer is dropped inside of the request too.
    let task = async move { drop(rest.await) };
    drop(spawn_in::<_, Plain>(context.request(), spec, task));
}
