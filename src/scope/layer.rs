//! The layer for services that are not HTTP.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use tokio::time::Instant;
use tower_layer::Layer;

use super::failure_policy::FailWith;
use super::scope_deadlines::ScopeDeadlines;
use super::service::TaskScopeService;
use crate::deadline::{ClosureSource, DeadlineSource, Sources};
use crate::handle::TrackerHandle;
use crate::report::DrainReport;
use crate::request::Shared;
use crate::request::warnings::Warnings;
use crate::settings::{DrainSettings, short_hands};

/// Gives every request of any service a task tracker, and holds the answer until the tasks are done. It is for services
/// that are not HTTP, such as a consumer of a queue, or the runtime of AWS Lambda.
///
/// The request may have any type. Code reaches its tasks by [`Tasks::current`](crate::Tasks::current),
/// [`spawn`](fn@crate::spawn) and [`named`](crate::named). The answer is held as a whole, and an error is held too.
///
/// If another layer or a scope encloses this layer, the enclosing one holds. This one holds nothing, and only adds its
/// settings, which win for the requests that pass it. The same goes for a [`TaskTrackerLayer`](crate::TaskTrackerLayer)
/// inside of this one.
///
/// If the service panics, its request counts as dropped: [`at_disconnect`](crate::DrainSettings::at_disconnect) applies
/// to its tasks. By default they run on. No answer waits for them. If code outside of the layer catches the panic and
/// answers, as `lambda_runtime` does, spawn the work of the handler and await its `JoinHandle`. The error of the
/// `JoinHandle` is then an answer, and is held.
///
/// Clones are cheap, and share one [`TrackerHandle`]. The type `Deadlines` is `()` unless
/// [`deadline_from`](Self::deadline_from) or [`deadline_source`](Self::deadline_source) was called. The type `Failure`
/// is `()` unless [`fail_with`](Self::fail_with) was called.
///
/// ```
/// use std::convert::Infallible;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_task_tracker::{TaskScopeLayer, spawn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = ServiceBuilder::new()
///     .layer(TaskScopeLayer::new())
///     .service(service_fn(|event: String| async move {
///         spawn(async { /* write it down */ });
///         Ok::<_, Infallible>(event.len())
///     }));
///
/// // The task has ended when the answer is there.
/// assert_eq!(service.oneshot("event".to_owned()).await, Ok(5));
/// # }
/// ```
///
/// # Over HTTP
///
/// An axum `Router` needs a [`TaskTrackerLayer`](crate::TaskTrackerLayer) instead. This layer treats a response as any
/// other value:
///
/// * The answer stays a 200 if a [`required`](crate::TaskBuilder::required) task has failed.
///   [`fail_with`](Self::fail_with) makes an error of the service, and the error type of a router is `Infallible`.
/// * It holds the head of every stream.
/// * The body is not a part of the request. Tasks that a body spawns are neither tracked nor waited for.
#[must_use = "a layer does nothing before it wraps a service"]
#[derive(Clone)]
pub struct TaskScopeLayer<Deadlines = (), Failure = ()> {
    settings: DrainSettings,
    deadlines: Deadlines,
    failure: Failure,
    handle: TrackerHandle,
    warnings: Arc<Warnings>,
}

impl TaskScopeLayer {
    /// Returns a layer in which every setting has its default. It has its own handle.
    pub fn new() -> Self {
        Self {
            settings: DrainSettings::new(),
            deadlines: (),
            failure: (),
            handle: TrackerHandle::new(),
            warnings: Arc::default(),
        }
    }
}

impl<Deadlines, Failure> TaskScopeLayer<Deadlines, Failure> {
    short_hands!(settings);

    /// Adds a closure that finds a deadline in a request: an instant on tokio's clock, or `None` for no limit. There is
    /// no such closure by default.
    ///
    /// Write the type of the request, `|event: &Event| ..`. rustc cannot infer it, because the layer is made before its
    /// service. The type must not contain lifetimes.
    ///
    /// The closure is called when a request arrives. Of all limits the earliest counts. An instant that has passed when
    /// the request arrives is ignored. The deadline counts as one of the platform, not of the client. Its name in
    /// reports is `deadline source`. For another name, a margin, or a deadline that the client chooses, use
    /// [`deadline_source`](Self::deadline_source).
    ///
    /// ```
    /// use tokio::time::Instant;
    /// use tower_task_tracker::TaskScopeLayer;
    ///
    /// struct Event {
    ///     due: Option<Instant>,
    /// }
    ///
    /// let layer = TaskScopeLayer::new().deadline_from(|event: &Event| event.due);
    /// # let _ = layer;
    /// ```
    pub fn deadline_from<Request>(
        self,
        read: impl Fn(&Request) -> Option<Instant> + Send + Sync + 'static,
    ) -> TaskScopeLayer<Sources<Request>, Failure>
    where
        Deadlines: ScopeDeadlines<Request>,
    {
        self.deadline_source(ClosureSource(read))
    }

    /// Adds a deadline source: one from [`deadline`](crate::deadline) that reads a `Request`, or your own. It is called
    /// as the closure of [`deadline_from`](Self::deadline_from) is. If a source is optional, use a closure that returns
    /// `None`.
    pub fn deadline_source<Request>(
        self,
        source: impl DeadlineSource<Request>,
    ) -> TaskScopeLayer<Sources<Request>, Failure>
    where
        Deadlines: ScopeDeadlines<Request>,
    {
        let Self {
            settings,
            deadlines,
            failure,
            handle,
            warnings,
        } = self;
        TaskScopeLayer {
            settings,
            deadlines: deadlines.with(Arc::new(source)),
            failure,
            handle,
            warnings,
        }
    }

    /// Replaces the answer by an error if a [`required`](crate::TaskBuilder::required) task of its request has failed
    /// or was late. So the answer claims no success, and, for example, an event goes back to its queue. By default the
    /// answer is kept, and only the report contains the failure. An error of the service is always kept.
    ///
    /// * The closure runs outside of the request, after the report.
    /// * If another layer or a scope encloses this layer, the closure has no effect: the enclosing one decides.
    /// * Of two calls the later one wins.
    ///
    /// ```
    /// use tower_task_tracker::TaskScopeLayer;
    ///
    /// let layer = TaskScopeLayer::new()
    ///     .fail_with(|report| std::io::Error::other(report.to_string()));
    /// # let _ = layer;
    /// ```
    ///
    /// rustc may report that `FailurePolicy` is "not general enough" if the error type contains a lifetime, as
    /// `Box<dyn Error + Send + Sync>` does, and `oneshot` is called in a spawned `async` block. To avoid that, put
    /// tower's `boxed_clone` around the service, or call `ready` and `call`.
    ///
    /// # Panics
    ///
    /// A panic of the closure is passed on to the caller of the service, because there is no other answer.
    pub fn fail_with<E>(
        self,
        error: impl Fn(&DrainReport) -> E + Send + Sync + 'static,
    ) -> TaskScopeLayer<Deadlines, FailWith<E>> {
        let Self {
            settings,
            deadlines,
            failure: _,
            handle,
            warnings,
        } = self;
        TaskScopeLayer {
            settings,
            deadlines,
            failure: FailWith::new(error),
            handle,
            warnings,
        }
    }

    /// Sets the handle that tracks the requests, in place of the layer's own.
    #[track_caller]
    pub fn tracked_by(mut self, handle: &TrackerHandle) -> Self {
        self.handle = handle.clone();
        // New warnings, because the layer that this one was cloned from has another handle.
        self.warnings = Arc::new(Warnings::tracked_from(Location::caller()));
        self
    }

    /// Returns the handle that tracks the requests.
    ///
    /// It does not see a request that an enclosing layer or scope tracks. The first time this happens, a warning is
    /// logged.
    #[must_use]
    #[track_caller]
    pub fn handle(&self) -> TrackerHandle {
        self.warnings.note_handle_taken(Location::caller());
        self.handle.clone()
    }
}

impl Default for TaskScopeLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S, Deadlines: Clone, Failure: Clone> Layer<S> for TaskScopeLayer<Deadlines, Failure> {
    type Service = TaskScopeService<S, Deadlines, Failure>;

    fn layer(&self, inner: S) -> Self::Service {
        let shared = Shared {
            settings: self.settings.clone().into(),
            process: self.handle.process.clone(),
            warnings: Some(self.warnings.clone()),
        };
        TaskScopeService::new(
            inner,
            Arc::new(shared),
            self.deadlines.clone(),
            self.failure.clone(),
        )
    }
}

impl<Deadlines: fmt::Debug, Failure: fmt::Debug> fmt::Debug for TaskScopeLayer<Deadlines, Failure> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScopeLayer")
            .field("settings", &self.settings)
            .field("deadlines", &self.deadlines)
            .field("failure", &self.failure)
            .field("handle", &self.handle)
            .finish()
    }
}
