//! A handler whose client has left, as a task.

use std::future::Future;
use std::panic::Location;

use super::builder::listed;
use super::judge::Plain;
use super::tracked_future::TrackedFuture;
use crate::registry::context::Context;
use crate::registry::entry::Brief;
use crate::trace;

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
    let context = Context::current();
    if let Context::Outside = context {
        trace::outside_a_request(location);
    }
    let admitted = context.registry().map(|registry| {
        registry.admit(Brief {
            name: Some("run_to_completion"),
            location,
            required: false,
            detached: false,
            is_handler: true,
        })
    });
    let (listing, guard) = admitted.unzip();
    // Its answer is dropped inside of the request too.
    let task = async move { drop(rest.await) };
    let handle = tokio::spawn(TrackedFuture::<_, Plain>::new(task, guard));
    drop(listed(listing, handle));
}
