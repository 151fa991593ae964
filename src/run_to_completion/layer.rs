//! The layer for handlers that run to their end.

use std::panic::Location;

use tower_layer::Layer;

use super::service::RunToCompletionService;

/// Lets a handler run to its end after its client has left. Without this layer a server drops the handler in the
/// middle.
///
/// Put it *inside* of a [`TaskTrackerLayer`](crate::TaskTrackerLayer) or a [`TaskScopeLayer`](crate::TaskScopeLayer).
/// If the future of the handler is dropped before it has answered, because the client has left or a timeout outside of
/// the layer has passed, the rest of the handler becomes a task of its request. The task is named `run_to_completion`,
/// and goes on where the handler stopped:
///
/// * The handle tracks it, and a shutdown waits for it. The outcome of the report is
///   [`Dropped`](crate::Outcome::Dropped). The handler is one of its stragglers, unless it ended while other tasks were
///   given time to stop.
/// * [`at_disconnect`](crate::TaskScopeLayer::at_disconnect) does not abort it. If the policy cancels the request's
///   [`cancellation_token`](crate::Tasks::cancellation_token), that token is cancelled for this task too.
/// * As long as a task of the request is alive, tasks that are spawned after the report are not late. They are tracked
///   as [detached](crate::TaskBuilder::detached) tasks are, and their ends are passed to
///   [`on_late_end`](crate::DrainObserver::on_late_end). [`try_spawn`](crate::Tasks::try_spawn) returns an error.
/// * The answer of the handler is dropped. A client that has closed only its sending half gets no answer either: see
///   [`TaskTrackerLayer::at_disconnect`](crate::TaskTrackerLayer::at_disconnect).
/// * If a timeout stands between the two layers, the request is still open. The timeout's own answer is then held until
///   the handler is done, as for any other task.
///
/// Outside of any request the rest is spawned untracked, and a warning is logged. The rest is dropped in place if there
/// is no runtime, if the handler has panicked, or if the handler is a part of a task that is aborted.
///
/// As long as no client leaves, the layer spawns nothing, and costs one box for each request.
///
/// The runtime polls the rest, in the request's context, and in the span that was current when the service was called.
/// Anything else that was entered around each poll of the handler, such as a `tokio::task_local!`, is missing. Put such
/// code inside of this layer.
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
/// * If the answer is all that a handler makes, as for a query or a page. Without a client that work is wasted, and
///   clients that give up and try again multiply it. Put the layer on the routes that write.
/// * If only one part of a handler must not be interrupted. [`spawn`](fn@crate::spawn) that part, and await its
///   `JoinHandle`. (A policy that aborts tasks aborts that part. In the same way it aborts tasks that are awaited by a
///   handler that runs on.)
/// * In place of a durable queue. The handler outlives the client, but not the process.
/// * On a platform that freezes an instance between requests, if no other request is running. A client that has left
///   does not keep the CPU.
/// * For a response body. Only the handler runs on. A stream without a reader is dropped.
///
/// If the handler reads the body of the request, that read returns an error, because the client has left.
#[derive(Debug, Clone, Copy)]
#[must_use = "a layer does nothing before it wraps a service"]
pub struct RunToCompletionLayer {
    location: &'static Location<'static>,
}

impl RunToCompletionLayer {
    /// Returns the layer. Reports contain the place of this call as the location of the task.
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
