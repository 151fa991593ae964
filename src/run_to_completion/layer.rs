//! The layer.

use std::panic::Location;

use tower_layer::Layer;

use super::service::RunToCompletionService;

/// Lets a handler run to its end when its client leaves, where a server would drop it in the middle.
///
/// Put it *inside* of a [`TaskTrackerLayer`](crate::TaskTrackerLayer) or a
/// [`TaskScopeLayer`](crate::TaskScopeLayer). When the
/// future of the handler is dropped before it has answered, because the client left or a timeout
/// further out fired, the rest of it becomes a task of its request, named `run_to_completion`, that
/// begins where the handler stood:
///
/// * It is tracked by the handle and waited for at shutdown. The report says
///   [`Dropped`](crate::Outcome::Dropped), with the handler among its stragglers, unless it ended while
///   others were given time to stop.
/// * [`at_disconnect`](crate::TaskScopeLayer::at_disconnect) does not abort it. The request's
///   [`cancellation_token`](crate::Tasks::cancellation_token) is cancelled for it as for all others, if
///   that is what the policy says.
/// * What is spawned after the report is not late as long as a task of the request is alive, but tracked
///   like [detached](crate::TaskBuilder::detached) tasks, whose ends are told to
///   [`on_late_end`](crate::DrainObserver::on_late_end). ([`try_spawn`](crate::Tasks::try_spawn)
///   refuses it.)
/// * Its answer is dropped. A client that has only closed its sending half gets none either, see
///   [`TaskTrackerLayer::at_disconnect`](crate::TaskTrackerLayer::at_disconnect).
/// * Where a timeout stands between the two layers, the request is still open: the timeout's own answer
///   is held until the handler is done, as for any other task.
///
/// Outside of any request it is a plain spawn, with a warning; without a runtime, after a panic of the
/// handler, and in a task that is aborted, the rest is dropped in place. While nobody leaves there is no
/// spawn and one more box.
///
/// The rest is polled by the runtime, in the request's context and in the span that was current when the
/// service was called. What else stood around the handler and was entered with each poll, such as a
/// `tokio::task_local!`, is gone: put it inside.
///
/// ```
/// # #[cfg(feature = "http")]
/// # {
/// use tower::ServiceBuilder;
/// use tower_task_tracker::{RunToCompletionLayer, TaskTrackerLayer};
///
/// let layers = ServiceBuilder::new()
///     .layer(TaskTrackerLayer::new())
///     .layer(RunToCompletionLayer::new());
/// # let _ = layers;
/// # }
/// ```
///
/// # When not to use it
///
/// * Where an answer is all that a handler makes, such as a query or a page: without a client, its work
///   is wasted, and clients that give up and try again pile it up. Put it on the routes that write.
/// * Where one part of a handler must not be torn, rather than the whole:
///   [`spawn`](fn@crate::spawn) that part and await its handle. (A policy that aborts tasks aborts it, as
///   it does tasks that are awaited by a handler that runs on.)
/// * Instead of a durable queue: it survives the client, not the process.
/// * On a platform that freezes an instance between requests, where no other request is running: a
///   client that left does not keep the CPU.
/// * For the body: a stream that nobody reads is dropped. Only the handler is run.
///
/// A handler that reads the request's body ends with an error there: the client is gone.
#[derive(Debug, Clone, Copy)]
#[must_use = "a layer does nothing before it wraps a service"]
pub struct RunToCompletionLayer {
    location: &'static Location<'static>,
}

impl RunToCompletionLayer {
    /// The layer. Reports name this place as that of the task.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            location: Location::caller(),
        }
    }
}

impl Default for RunToCompletionLayer {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for RunToCompletionLayer {
    type Service = RunToCompletionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RunToCompletionService::new(inner, self.location)
    }
}
