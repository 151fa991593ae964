//! The layer without HTTP.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use tokio::time::Instant;
use tower_layer::Layer;

use super::failure_policy::FailWith;
use super::scope_deadlines::ScopeDeadlines;
use super::service::TaskScopeService;
use crate::deadline::{DeadlineSource, ReadBy, Sources};
use crate::handle::TrackerHandle;
use crate::report::DrainReport;
use crate::request::Shared;
use crate::request::notices::Notices;
use crate::settings::{DrainSettings, short_hands};

/// Gives every request of any service a task tracker, and holds its answer back until the tasks are
/// done: for what is not HTTP, such as events from a queue or the runtime of AWS Lambda.
///
/// The request may be anything: code reaches its tasks by [`Tasks::current`](crate::Tasks::current),
/// [`spawn`](fn@crate::spawn) and [`named`](crate::named). The answer is held as a whole, whatever it
/// is, an error too. Where another layer or scope stands further out, that one holds, and this one only
/// lets what was set on it win for the requests that pass it. The same goes for a
/// [`TaskTrackerLayer`](crate::TaskTrackerLayer) inside of this one: it holds nothing.
///
/// A panic of the service drops its request, whose tasks run on without being waited for. Where a panic
/// is caught further out and answered, as `lambda_runtime` does, spawn the work of the handler and await
/// its handle: the error of that is an answer, and is held.
///
/// Clones are cheap, and share one [`TrackerHandle`]. The types `Deadlines` and `Failure` say whether
/// [`deadline_from`](Self::deadline_from) or [`deadline_source`](Self::deadline_source), and
/// [`fail_with`](Self::fail_with), were called: `()` is no.
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
/// // It is written down when the answer is there.
/// assert_eq!(service.oneshot("event".to_owned()).await, Ok(5));
/// # }
/// ```
///
/// # Over HTTP
///
/// A [`TaskTrackerLayer`](crate::TaskTrackerLayer) is what an axum `Router` needs. For this layer an answer is no
/// response: the answer of a request whose [`required`](crate::TaskBuilder::required) task has failed is
/// still a 200, because [`fail_with`](Self::fail_with) makes an error of the service, and a router has
/// none (`Infallible`). It holds the head of every stream, and the body is not part of the request: what a
/// body spawns is neither tracked nor waited for.
#[must_use = "a layer does nothing before it wraps a service"]
#[derive(Clone)]
pub struct TaskScopeLayer<Deadlines = (), Failure = ()> {
    settings: DrainSettings,
    deadlines: Deadlines,
    failure: Failure,
    handle: TrackerHandle,
    notices: Arc<Notices>,
}

impl TaskScopeLayer {
    /// A layer with a handle of its own and everything at its default.
    pub fn new() -> Self {
        Self {
            settings: DrainSettings::new(),
            deadlines: (),
            failure: (),
            handle: TrackerHandle::new(),
            notices: Arc::default(),
        }
    }
}

impl<Deadlines, Failure> TaskScopeLayer<Deadlines, Failure> {
    short_hands!(settings);

    /// Adds a closure that may find a deadline in a request, as a platform's: an instant on tokio's clock, or
    /// `None`, which is no limit. None is there by default.
    ///
    /// The type of the request has to be written, `|event: &Event| ..`: a layer is made before its service is
    /// there, and so rustc cannot infer it. It is a type without lifetimes.
    ///
    /// It is called when a request arrives, and the earliest limit counts; an instant that has passed by then is
    /// ignored. In reports its name is `deadline source`. For another name, a margin, or a deadline that a client
    /// chooses, there is [`deadline_source`](Self::deadline_source).
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
        self.deadline_source(ReadBy(read))
    }

    /// Adds a source that may know of a deadline: one of those in [`deadline`](crate::deadline) that can look at
    /// an `R`, or one of yours. It is asked as [`deadline_from`](Self::deadline_from)'s closure is. A source that
    /// may be missing is a closure that returns `None`.
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
            notices,
        } = self;
        TaskScopeLayer {
            settings,
            deadlines: deadlines.with(Arc::new(source)),
            failure,
            handle,
            notices,
        }
    }

    /// Makes an error of an answer whose [`required`](crate::TaskBuilder::required) tasks failed, or
    /// were late, so that success is not claimed for them: an event goes back to its queue. By default
    /// the answer is kept, and only the report tells. An error of the service itself is kept.
    ///
    /// It counts where no layer or scope stands further out: that one decides. It runs outside of the
    /// request, after the report; called again, the last one counts.
    ///
    /// ```
    /// use tower_task_tracker::TaskScopeLayer;
    ///
    /// let layer = TaskScopeLayer::new()
    ///     .fail_with(|report| std::io::Error::other(report.to_string()));
    /// # let _ = layer;
    /// ```
    ///
    /// rustc may call `FailurePolicy` "not general enough" where an error type with a lifetime in it, such as
    /// `Box<dyn Error + Send + Sync>`, meets `oneshot` in a spawned `async` block. tower's `boxed_clone`
    /// around the service helps, and so do `ready` and `call`.
    ///
    /// # Panics
    ///
    /// A panic of the closure is passed on to who waits for the answer: there is no other.
    pub fn fail_with<E>(
        self,
        error: impl Fn(&DrainReport) -> E + Send + Sync + 'static,
    ) -> TaskScopeLayer<Deadlines, FailWith<E>> {
        let Self {
            settings,
            deadlines,
            failure: _,
            handle,
            notices,
        } = self;
        TaskScopeLayer {
            settings,
            deadlines,
            failure: FailWith::new(error),
            handle,
            notices,
        }
    }

    /// Tracks the requests by this handle, instead of the layer's own.
    #[track_caller]
    pub fn tracked_by(mut self, handle: &TrackerHandle) -> Self {
        self.handle = handle.clone();
        // Of its own: what it was cloned from has another handle.
        self.notices = Arc::new(Notices::tracked_from(Location::caller()));
        self
    }

    /// The handle that the requests are tracked by, where no other layer stands further out.
    ///
    /// For a request that another layer or scope tracks it sees nothing: this is logged once, as a warning.
    #[must_use]
    #[track_caller]
    pub fn handle(&self) -> TrackerHandle {
        self.notices.handle_is_taken(Location::caller());
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
            notices: Some(self.notices.clone()),
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
