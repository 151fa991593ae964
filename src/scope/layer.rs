//! The layer without HTTP.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tower_layer::Layer;

use super::asks::Asks;
use super::fails::FailWith;
use super::service::TaskScopeService;
use crate::deadline::{DeadlineSource, ReadBy, Sources};
use crate::handle::TrackerHandle;
use crate::report::{DrainObserver, DrainReport};
use crate::request::Shared;
use crate::request::notices::Notices;
use crate::settings::{Settings, Unfinished};

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
/// Clones are cheap, and share one [`TrackerHandle`]. The types `D` and `X` say whether
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
pub struct TaskScopeLayer<D = (), X = ()> {
    settings: Settings,
    deadlines: D,
    failure: X,
    handle: TrackerHandle,
    notices: Arc<Notices>,
}

impl TaskScopeLayer {
    /// A layer with a handle of its own and everything at its default.
    pub fn new() -> Self {
        Self {
            settings: Settings::default(),
            deadlines: (),
            failure: (),
            handle: TrackerHandle::new(),
            notices: Arc::default(),
        }
    }
}

impl<D, X> TaskScopeLayer<D, X> {
    /// For how long an answer waits for its tasks, on tokio's clock from when the service has given
    /// it: 25 s by default. Zero gives running tasks one turn of the scheduler; `None`, and what is too
    /// long for the clock, waits without limit.
    pub fn drain_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.window.drain_timeout = Some(timeout.into());
        self
    }

    /// How long after its arrival, on tokio's clock, a request may still be waiting for its tasks. `None`
    /// by default. The service is not interrupted.
    ///
    /// It counts from the first layer with such a timeout that the request passes, and from the first
    /// time that it does.
    pub fn total_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.window.total_timeout = Some(timeout.into());
        self
    }

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
    pub fn deadline_from<R>(
        self,
        read: impl Fn(&R) -> Option<Instant> + Send + Sync + 'static,
    ) -> TaskScopeLayer<Sources<R>, X>
    where
        D: Asks<R>,
    {
        self.deadline_source(ReadBy(read))
    }

    /// Adds a source that may know of a deadline: one of those in [`deadline`](crate::deadline) that can look at
    /// an `R`, or one of yours. It is asked as [`deadline_from`](Self::deadline_from)'s closure is. A source that
    /// may be missing is a closure that returns `None`.
    pub fn deadline_source<R>(self, source: impl DeadlineSource<R>) -> TaskScopeLayer<Sources<R>, X>
    where
        D: Asks<R>,
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
            deadlines: deadlines.and(Arc::new(source)),
            failure,
            handle,
            notices,
        }
    }

    /// What becomes of tasks that are alive at the deadline: [`Unfinished::Continue`] by default.
    pub fn at_deadline(mut self, unfinished: Unfinished) -> Self {
        self.settings.window.at_deadline = Some(unfinished);
        self
    }

    /// What becomes of the tasks when the future of the service is dropped before its end, by a timeout
    /// for instance: [`Unfinished::Continue`] by default.
    ///
    /// An HTTP server drops it when it notices that its client left. What hyper notices, and what it takes
    /// for a disconnect, is described at
    /// [`TaskTrackerLayer::at_disconnect`](crate::TaskTrackerLayer::at_disconnect).
    pub fn at_disconnect(mut self, unfinished: Unfinished) -> Self {
        self.settings.window.at_disconnect = Some(unfinished);
        self
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
    /// rustc may call `Fails` "not general enough" where an error type with a lifetime in it, such as
    /// `Box<dyn Error + Send + Sync>`, meets `oneshot` in a spawned `async` block. tower's `boxed_clone`
    /// around the service helps, and so do `ready` and `call`.
    ///
    /// # Panics
    ///
    /// A panic of the closure is passed on to who waits for the answer: there is no other.
    pub fn fail_with<E>(
        self,
        error: impl Fn(&DrainReport) -> E + Send + Sync + 'static,
    ) -> TaskScopeLayer<D, FailWith<E>> {
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

    /// Adds something to be awaited before an answer is let go, when the tasks are done, also where
    /// there were none: the place to flush telemetry, of spans that are kept inside of this layer. It runs in the request's span and context, with the
    /// report as things stand then. It is part of the drain window and is dropped at the deadline; a window
    /// that closes before the tasks are done, or a drop, does not call it. Several run one after the other;
    /// one that panics is logged, and counts as done. None is there by default.
    ///
    /// A span is exported after it has closed. When the hook is called, the spans of the tasks that were waited for
    /// have closed, and so has a span that the inner service's future kept, which is dropped before. A span that is
    /// kept outside of this layer has not: flush it outside, after this layer's answer, as `OpenTelemetryLayer` of
    /// `lambda_runtime` does. A span that the answer itself keeps (tower-http's `TraceLayer` keeps its span in the
    /// body) is open until the answer is dropped.
    pub fn before_release<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(Arc<DrainReport>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.settings.push_hook(hook);
        self
    }

    /// Adds a callback: each of them is called with the report of every request that spawned something. It runs as
    /// [`DrainObserver::on_drain`] does. A closure `|report| ..` will do; for late spawns and late ends too
    /// there is [`observer`](Self::observer).
    pub fn on_drain(mut self, f: impl Fn(&DrainReport) + Send + Sync + 'static) -> Self {
        self.settings.push_on_drain(f);
        self
    }

    /// Adds an observer: like [`on_drain`](Self::on_drain), with three callbacks. Both count as one list, in the
    /// order of the calls.
    pub fn observer(mut self, observer: impl DrainObserver) -> Self {
        self.settings.push_observer(observer);
        self
    }

    /// Whether each task runs in a `tracing` span of its own. True by default; otherwise it runs in the span that
    /// is current where it is spawned. The span of a detached task is a root span that follows from that one.
    /// Without the feature `tracing` this does nothing.
    pub fn task_spans(mut self, own: bool) -> Self {
        self.settings.task_spans = Some(own);
        self
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

impl<S, D: Clone, X: Clone> Layer<S> for TaskScopeLayer<D, X> {
    type Service = TaskScopeService<S, D, X>;

    fn layer(&self, inner: S) -> Self::Service {
        let shared = Shared {
            settings: self.settings.clone(),
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

impl<D: fmt::Debug, X: fmt::Debug> fmt::Debug for TaskScopeLayer<D, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScopeLayer")
            .field("settings", &self.settings)
            .field("deadlines", &self.deadlines)
            .field("failure", &self.failure)
            .field("handle", &self.handle)
            .finish()
    }
}
