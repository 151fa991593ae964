//! The layer.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use tokio::time::Instant;
use tower_layer::Layer;

use super::service::TaskTrackerService;
use crate::deadline::{ClosureSource, DeadlineSource, Sources};
use crate::handle::TrackerHandle;
use crate::request::Shared;
use crate::request::notices::Notices;
use crate::settings::{Hold, Settings, short_hands};

/// Gives every request a task tracker, and holds its response back until the tasks are done.
///
/// Clones are cheap, and share one [`TrackerHandle`]. Where another `TaskTrackerLayer` stands
/// further out, that one holds, and this one only lets what was set on it win for the requests
/// that pass it: so a route's own layer tunes the route.
///
/// ```
/// use std::time::Duration;
/// use tower_task_tracker::TaskTrackerLayer;
///
/// let layer = TaskTrackerLayer::new()
///     .drain_timeout(Duration::from_secs(5))
///     .on_drain(|report| println!("{report}"));
/// # let _ = layer;
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing before it wraps a service"]
pub struct TaskTrackerLayer {
    settings: Settings,
    sources: Sources<Parts>,
    max_live_tasks: Option<usize>,
    handle: TrackerHandle,
    notices: Arc<Notices>,
}

impl TaskTrackerLayer {
    /// A layer with a handle of its own and everything at its default.
    pub fn new() -> Self {
        Self {
            settings: Settings::default(),
            sources: Sources::default(),
            max_live_tasks: None,
            handle: TrackerHandle::new(),
            notices: Arc::default(),
        }
    }

    short_hands!(settings.drain);

    /// What is held back of a response. [`Hold::Auto`] by default.
    pub fn hold(mut self, hold: Hold) -> Self {
        self.settings.answer.hold = Some(hold);
        self
    }

    /// Adds a closure that may find a deadline in a request, as a platform's: `|parts| ..`, an instant on tokio's
    /// clock, or `None`, which is no limit. None is there by default.
    ///
    /// It is called when a request arrives, and the earliest limit counts: it only shortens the wait, it never
    /// interrupts the handler. An instant that has passed when the request arrives is ignored. In reports its
    /// name is `deadline source`. For another name, a margin, or a deadline that the client chooses, there is
    /// [`deadline_source`](Self::deadline_source).
    ///
    /// ```
    /// use tokio::time::Instant;
    /// use tower_task_tracker::TaskTrackerLayer;
    ///
    /// // Middleware further out has put it there.
    /// let layer = TaskTrackerLayer::new()
    ///     .deadline_from(|parts| parts.extensions.get::<Instant>().copied());
    /// # let _ = layer;
    /// ```
    pub fn deadline_from(
        mut self,
        read: impl Fn(&Parts) -> Option<Instant> + Send + Sync + 'static,
    ) -> Self {
        self.sources.push(Arc::new(ClosureSource(read)));
        self
    }

    /// Adds a source that may know of a deadline: those in [`deadline`](crate::deadline), or one of yours. It is
    /// asked as [`deadline_from`](Self::deadline_from)'s closure is.
    pub fn deadline_source(mut self, source: impl DeadlineSource) -> Self {
        self.sources.push(Arc::new(source));
        self
    }

    /// The status of a response whose head was held until its deadline, with tasks that were not done: it
    /// takes the place of the handler's, with an empty body. By default the handler's response is
    /// kept. A held end, which has sent its status long ago, is just let go.
    ///
    /// `application/grpc` gets `grpc-status: 4` (`DEADLINE_EXCEEDED`) instead. The heads of tonic's
    /// successes are not held, unless by [`Hold::Head`]: their messages are streams. Where a
    /// [`required`](crate::TaskBuilder::required) task was late, [`failure_status`](Self::failure_status)
    /// counts. If the head was held for required tasks alone, and these were done, the handler's response is kept.
    ///
    /// # What the head keeps
    ///
    /// Nothing of the handler's answer is left in the head. `cache-control` is `no-store`, and of the handler's
    /// fields only these stay, which are true of any answer to the request:
    ///
    /// | of | fields | why |
    /// |---|---|---|
    /// | the connection, the server | `connection`, `keep-alive`, `proxy-connection`, `upgrade`, `alt-svc`, `date`, `server`, `via` | they are the same |
    /// | the client's session | `set-cookie`, `clear-site-data` | the handler has renewed or ended it on the server already |
    /// | CORS | `access-control-*`, `vary`, `timing-allow-origin` | without them a script cannot read the status |
    /// | the policy of the origin | `strict-transport-security`, `content-security-policy*`, `permissions-policy*`, `cross-origin-*`, `referrer-policy`, `x-frame-options`, `x-content-type-options`, `x-xss-protection`, `x-dns-prefetch-control`, `x-download-options`, `x-permitted-cross-domain-policies`, `origin-agent-cluster`, `document-policy`, `feature-policy`, `integrity-policy`, `integrity-policy-report-only`, `expect-ct`, `accept-ch`, `critical-ch`, `nel`, `report-to`, `reporting-endpoints` | a browser applies it to errors too, or remembers it |
    /// | the trace | `traceparent`, `tracestate`, `traceresponse`, `baggage`, `b3`, `x-b3-*`, `x-datadog-*`, `uber-trace-id`, `server-timing`, `request-id`, `x-request-id`, `correlation-id`, `x-correlation-id`, `x-trace-id`, `x-cloud-trace-context`, `x-amzn-trace-id`, `x-amzn-requestid`, `x-amz-request-id`, `x-amz-cf-id`, `apigw-requestid`, `cf-ray` | logs and traces are read where something has failed |
    /// | the quota | `ratelimit*`, `x-ratelimit-*`, `x-rate-limit-*` | the request has counted |
    ///
    /// Everything else is taken out, known or not: what instructs a cache, a CDN or a proxy about the success
    /// (`cdn-cache-control`, `surrogate-control`, `x-accel-redirect`), digests and signatures of its body, `location`,
    /// `link`, `refresh`, and `retry-after`, which was about the handler's own status. For more, write it in
    /// middleware further out. The response's extensions stay.
    pub fn deadline_status(mut self, status: StatusCode) -> Self {
        self.settings.answer.deadline_status = Some(status);
        self
    }

    /// The status of a response whose head was held and that a
    /// [`required`](crate::TaskBuilder::required) task has failed: 500 by default. Its body is empty, and of the
    /// handler's head it keeps what is true of any answer: see [`deadline_status`](Self::deadline_status).
    /// `application/grpc` gets `grpc-status: 13` (`INTERNAL`) instead.
    pub fn failure_status(mut self, status: StatusCode) -> Self {
        self.settings.answer.failure_status = Some(status);
        self
    }

    /// Whether a held head tells for how long it was held, in milliseconds:
    /// `server-timing: drain;dur=12.3` ([Server Timing][spec]), after what the handler says there itself.
    /// False by default. Browsers show it to whoever may read the response.
    ///
    /// [spec]: https://www.w3.org/TR/server-timing/
    pub fn server_timing(mut self, tell: bool) -> Self {
        self.settings.answer.server_timing = Some(tell);
        self
    }

    /// Sets whether a response whose head is held carries its report, as an `Arc<DrainReport>` in its extensions, for
    /// middleware outside of this layer. It is there also if the tasks were done before the head had to wait, and not if
    /// nothing was spawned. False by default: a report that nothing reads is not made.
    pub fn report_extension(mut self, carry: bool) -> Self {
        self.settings.answer.report_extension = Some(carry);
        self
    }

    /// How many tasks may be alive, detached and late ones too, when a request arrives: with so many or
    /// more it is answered 503 with `retry-after: 1`, `cache-control: no-store` and an empty body, without
    /// reaching the inner service. No limit by default; zero refuses everything.
    ///
    /// The tasks are those of the whole handle, counted from when a layer with such a limit first wraps a
    /// service; inside of a layer with another handle, from the first request that passes. What runs in
    /// [`Tasks::tracker`](crate::Tasks::tracker) is not counted.
    ///
    /// Every request that passes the layer is refused: put health checks and metrics outside of it.
    ///
    /// It bounds what requests leave behind, not the requests: a request that is being served may
    /// spawn past the limit. tower's `ConcurrencyLimit` bounds how many requests are served at once,
    /// which a response whose head is held still is, and makes others wait; with `LoadShed` around it they are
    /// refused instead. Use those to protect what handlers share, such as a database, and this so
    /// that detached work, stragglers and late spawns cannot grow without bound.
    pub fn max_live_tasks(mut self, max: usize) -> Self {
        self.max_live_tasks = Some(max);
        self
    }

    /// Tracks the requests by this handle, instead of the layer's own. A request is tracked by the
    /// handle of the outermost layer that it passes: give all layers the same one.
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

impl Default for TaskTrackerLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for TaskTrackerLayer {
    type Service = TaskTrackerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        if self.max_live_tasks.is_some() {
            // Counted from now on.
            self.handle.process.load();
        }
        let shared = Shared {
            settings: self.settings.clone(),
            process: self.handle.process.clone(),
            notices: Some(self.notices.clone()),
        };
        TaskTrackerService::new(
            inner,
            Arc::new(shared),
            self.sources.clone(),
            self.max_live_tasks,
        )
    }
}

impl fmt::Debug for TaskTrackerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskTrackerLayer")
            .field("settings", &self.settings)
            .field("sources", &self.sources)
            .field("max_live_tasks", &self.max_live_tasks)
            .field("handle", &self.handle)
            .finish()
    }
}
