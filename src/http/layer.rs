//! The layer for HTTP services.

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
use crate::request::warnings::Warnings;
use crate::settings::{Hold, Settings, short_hands};

/// Gives every request a task tracker, and holds its response until the tasks are done.
///
/// If another layer or a scope of this crate encloses this layer, the enclosing one holds the response. This layer then
/// holds nothing, and only adds its settings, which win for the requests that pass it. So a route can have a layer with
/// its own settings. (An enclosing [`TaskScopeLayer`](crate::TaskScopeLayer) or scope does not see the body, so nothing
/// waits for the tasks that the body spawns.)
///
/// Clones are cheap, and share one [`TrackerHandle`].
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
    warnings: Arc<Warnings>,
}

impl TaskTrackerLayer {
    /// Returns a layer in which every setting has its default. It has its own handle.
    pub fn new() -> Self {
        Self {
            settings: Settings::default(),
            sources: Sources::default(),
            max_live_tasks: None,
            handle: TrackerHandle::new(),
            warnings: Arc::default(),
        }
    }

    short_hands!(settings.drain);

    /// Sets which part of a response is held. The default is [`Hold::Auto`].
    pub fn hold(mut self, hold: Hold) -> Self {
        self.settings.answer.hold = Some(hold);
        self
    }

    /// Adds a closure `|parts| ..` that finds a deadline in a request: an instant on tokio's clock, or `None` for no
    /// limit. There is no such closure by default.
    ///
    /// The closure is called when a request arrives. Of all limits the earliest counts. The deadline shortens only the
    /// wait, and never interrupts the handler. An instant that has passed when the request arrives is ignored. The
    /// deadline counts as one that the platform chose, not the client, so [`at_deadline`](Self::at_deadline) applies to
    /// late tasks. Its name in reports is `deadline source`. For another name, a margin, or a deadline that the client
    /// chooses, use [`deadline_source`](Self::deadline_source).
    ///
    /// ```
    /// use tokio::time::Instant;
    /// use tower_task_tracker::TaskTrackerLayer;
    ///
    /// // Middleware outside of the layer has put the instant into the extensions.
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

    /// Adds a deadline source: one from [`deadline`](crate::deadline), or your own. It is called in the same way as the
    /// closure of [`deadline_from`](Self::deadline_from).
    pub fn deadline_source(mut self, source: impl DeadlineSource) -> Self {
        self.sources.push(Arc::new(source));
        self
    }

    /// Sets the status of a response whose head was held until its deadline, while tasks were not done. The status
    /// replaces the handler's response, with an empty body. By default the handler's response is kept.
    ///
    /// | what was held | at the deadline |
    /// |---|---|
    /// | the head | It gets this status. |
    /// | the head of an `application/grpc` response | It gets `grpc-status: 4` (`DEADLINE_EXCEEDED`) instead. tonic sends its successes as streams, so their heads are held only under [`Hold::Head`]. |
    /// | the head, and a [`required`](crate::TaskBuilder::required) task is late | [`failure_status`](Self::failure_status) applies instead. |
    /// | the head for required tasks alone, and these have ended after `Abort` or `Cancel` had begun to abort tasks | The handler's response is kept: tasks that are not required may be late. |
    /// | the end | It is released. The status has already been sent. |
    ///
    /// It applies also if the window was closed by a shutdown, and if `Abort` or `Cancel` stopped a task. It does not
    /// apply if only a `before_release` hook was late, nor to an error of the service.
    ///
    /// # What the head keeps
    ///
    /// A gRPC response keeps its fields, except for `content-length`. Any other new head has `cache-control: no-store`,
    /// and keeps only these fields of the handler's head, because they are true of any answer to the request:
    ///
    /// | of | fields | why |
    /// |---|---|---|
    /// | the connection, the server | `connection`, `keep-alive`, `proxy-connection`, `upgrade`, `alt-svc`, `date`, `server`, `via` | they are the same |
    /// | the client's session | `set-cookie`, `clear-site-data` | the handler has renewed or ended it on the server already |
    /// | CORS | `access-control-*`, `vary`, `timing-allow-origin` | without them a script cannot read the status |
    /// | the policy of the origin | `strict-transport-security`, `content-security-policy*`, `permissions-policy*`, `cross-origin-*`, `referrer-policy`, `x-frame-options`, `x-content-type-options`, `x-xss-protection`, `x-dns-prefetch-control`, `x-download-options`, `x-permitted-cross-domain-policies`, `origin-agent-cluster`, `document-policy`, `feature-policy`, `integrity-policy`, `integrity-policy-report-only`, `expect-ct`, `accept-ch`, `critical-ch`, `nel`, `report-to`, `reporting-endpoints` | a browser applies it to errors too, or remembers it |
    /// | the trace | `traceparent`, `tracestate`, `traceresponse`, `baggage`, `b3`, `x-b3-*`, `x-datadog-*`, `uber-trace-id`, `server-timing`, `request-id`, `x-request-id`, `correlation-id`, `x-correlation-id`, `x-trace-id`, `x-cloud-trace-context`, `x-amzn-trace-id`, `x-amzn-requestid`, `x-amz-request-id`, `x-amz-cf-id`, `apigw-requestid`, `cf-ray` | logs and traces are read where something has failed |
    /// | the quota | `ratelimit*`, `x-ratelimit-*`, `x-rate-limit-*` | the request counts against the quota, although its answer was replaced |
    ///
    /// Every other field is removed, known or not. For example:
    ///
    /// * instructions about the success to a cache, a CDN or a proxy (`cdn-cache-control`, `surrogate-control`,
    ///   `x-accel-redirect`);
    /// * digests and signatures of its body;
    /// * `location`, `link`, `refresh`;
    /// * `retry-after`, because it belonged to the handler's status.
    ///
    /// To send more fields, add them in middleware outside of the layer. The extensions of the response stay.
    pub fn deadline_status(mut self, status: StatusCode) -> Self {
        self.settings.answer.deadline_status = Some(status);
        self
    }

    /// Sets the status of a response whose head was held and that fails because of a
    /// [`required`](crate::TaskBuilder::required) task. The default is 500. It replaces any status of the handler, and
    /// the body is empty. An error of the service stays. The head keeps the fields that
    /// [`deadline_status`](Self::deadline_status) keeps. An `application/grpc` response gets `grpc-status: 13`
    /// (`INTERNAL`) instead.
    pub fn failure_status(mut self, status: StatusCode) -> Self {
        self.settings.answer.failure_status = Some(status);
        self
    }

    /// Sets whether a held head reports how long it was held, in milliseconds: `server-timing: drain;dur=12.3`
    /// ([Server Timing][spec]). If the handler has set that field, the value is appended to it. The default is false.
    /// Browsers show the field to anyone who may read the response.
    ///
    /// [spec]: https://www.w3.org/TR/server-timing/
    pub fn server_timing(mut self, enabled: bool) -> Self {
        self.settings.answer.server_timing = Some(enabled);
        self
    }

    /// Sets whether a response whose head is held has its report in its extensions, as an `Arc<DrainReport>`, for
    /// middleware outside of this layer. The default is false, so that no report is made if nothing else reads it.
    ///
    /// The report is there also if the tasks were done before the head had to wait. It is not there if nothing was
    /// spawned.
    pub fn report_extension(mut self, enabled: bool) -> Self {
        self.settings.answer.report_extension = Some(enabled);
        self
    }

    /// Sets how many tasks may be alive when a request arrives. With that many or more, the request is refused: the
    /// answer is 503 with `retry-after: 1`, `cache-control: no-store` and an empty body, and the inner service is not
    /// called. By default there is no limit. Zero refuses every request.
    ///
    /// * Detached tasks, stragglers and tasks that were spawned after the release count too. Tasks in
    ///   [`Tasks::tracker`](crate::Tasks::tracker) do not count.
    /// * The count begins when a layer with such a limit first wraps a service. From then on, every task that is
    ///   spawned in a request of the handle counts. A nested layer with a limit counts the tasks of the outer layer's
    ///   handle, from the first request that passes the nested layer.
    /// * The limit is no reservation: requests that arrive at the same time may all pass. `poll_ready` does not depend
    ///   on it.
    /// * Any request that passes the layer may be refused. Put health checks and metrics outside of it.
    ///
    /// # Compared with tower's `ConcurrencyLimit`
    ///
    /// `max_live_tasks` bounds what requests leave behind: detached tasks, stragglers and late spawns. It does not
    /// bound requests, and a request that is being served may spawn past the limit.
    ///
    /// `ConcurrencyLimit` bounds how many requests are served at once, including those whose head is held. Other
    /// requests wait. With `LoadShed` around it, excess requests are refused instead. Use these two to protect a
    /// resource that handlers share, such as a database.
    pub fn max_live_tasks(mut self, max: usize) -> Self {
        self.max_live_tasks = Some(max);
        self
    }

    /// Sets the handle that tracks the requests, in place of the layer's own. The outermost layer that a request passes
    /// decides, so set the same handle on all layers.
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

impl Default for TaskTrackerLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for TaskTrackerLayer {
    type Service = TaskTrackerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        if self.max_live_tasks.is_some() {
            // The first call begins the count.
            self.handle.process.load();
        }
        let shared = Shared {
            settings: self.settings.clone(),
            process: self.handle.process.clone(),
            warnings: Some(self.warnings.clone()),
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
