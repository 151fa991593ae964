//! The layer.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::request::Parts;
use tokio::time::Instant;
use tower_layer::Layer;

use super::service::TaskTrackerService;
use crate::deadline::{DeadlineSource, ReadBy, Sources};
use crate::handle::TrackerHandle;
use crate::report::{DrainObserver, DrainReport};
use crate::request::Shared;
use crate::request::notices::Notices;
use crate::settings::{Hold, Settings, Unfinished};

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

    /// What is held back of a response. [`Hold::Auto`] by default.
    pub fn hold(mut self, hold: Hold) -> Self {
        self.settings.answer.hold = Some(hold);
        self
    }

    /// For how long a response waits for its tasks: 25 s by default, below the shortest common
    /// limit of a front end (29 s).
    ///
    /// It counts on tokio's clock from the moment the response could be released: when the handler
    /// has answered, where the head is held, and when the body has come to its end, where the end
    /// is held. Then the response goes out, and [`at_deadline`](Self::at_deadline) says what becomes of
    /// the tasks; those it aborts have up to 100 ms less. Zero gives running tasks one turn of the
    /// scheduler; `None`, and what is too long for the clock, waits without limit.
    ///
    /// Where the head has drained and then the end has to wait too, that has a drain timeout of its own:
    /// [`total_timeout`](Self::total_timeout) bounds both. So it is for what the destructor of a body spawns that was
    /// dropped for a failed required task. A timeout that has passed at the head is not given again.
    ///
    /// # Panics
    ///
    /// A wait on a runtime without time panics.
    pub fn drain_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.window.drain_timeout = Some(timeout.into());
        self
    }

    /// How long after its arrival a response may still be waiting for its tasks. `None` by default,
    /// which is no limit.
    ///
    /// It counts on tokio's clock from the moment the request reaches this layer, or the first one further
    /// out that has such a timeout too, and bounds the wait alone: a handler is not interrupted, and one
    /// that takes longer finds its window closed, so that running tasks get one turn of the scheduler. So
    /// they do with zero.
    pub fn total_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.window.total_timeout = Some(timeout.into());
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
        self.sources.push(Arc::new(ReadBy(read)));
        self
    }

    /// Adds a source that may know of a deadline: those in [`deadline`](crate::deadline), or one of yours. It is
    /// asked as [`deadline_from`](Self::deadline_from)'s closure is.
    pub fn deadline_source(mut self, source: impl DeadlineSource) -> Self {
        self.sources.push(Arc::new(source));
        self
    }

    /// What becomes of tasks that are alive at the deadline. [`Unfinished::Continue`] by default: they
    /// run on, and are reported as stragglers.
    ///
    /// A response is released at its deadline at the latest: what is to be aborted is aborted a
    /// moment before. Where the client chose the deadline everything is detached.
    pub fn at_deadline(mut self, unfinished: Unfinished) -> Self {
        self.settings.window.at_deadline = Some(unfinished);
        self
    }

    /// What becomes of tasks whose client is gone, that is when the response is dropped before its
    /// end. [`Unfinished::Continue`] by default: they run on, and are reported as stragglers at once.
    ///
    /// [`Unfinished::Abort`] gives their destructors 100 ms; [`Unfinished::Cancel`] has its grace from
    /// the drop, on tokio's clock, and with a grace of zero what is alive is aborted at once. Both wait in
    /// a small task on the current runtime, and report when it is through; without a runtime they abort
    /// and report at once.
    ///
    /// # Which clients are noticed
    ///
    /// A server notices that its client left when it reads. Over HTTP/1 hyper does so only while nothing
    /// else is unread on the connection: a pipelined request, or a rest of the request's body that the
    /// handler did not read, ends that, and so does `half_close(true)`. Nothing is noticed then until a
    /// write fails, and the response counts as drained. A client that leaves in the middle of an upload
    /// is told to the handler alone, as an error of the body. A GOAWAY of an HTTP/2 client ends no
    /// stream.
    ///
    /// # Clients that close their sending half
    ///
    /// Some HTTP/1 clients close the sending half of their connection after the request, and still read
    /// (`shutdown(SHUT_WR)`, `nc -N`). hyper treats that as a disconnect as soon as it reads it: the handler
    /// is dropped, or what is held of its response, the connection is closed, and this policy applies. A
    /// quick handler has often answered by then. The same handler behind this layer waits for its tasks, so
    /// that the client gets no answer, or one without its end.
    ///
    /// hyper's [`half_close(true)`][half-close] lets such clients have every answer (hyper-util's
    /// `auto::Builder` has it as `.http1().half_close(true)`, `axum::serve` does not). It has a price: hyper
    /// notices no HTTP/1 client that leaves any more, before a write to it fails. Handlers run to their end
    /// for it, responses are held for their tasks to the last, and this policy does not apply. Without
    /// `half_close`, `Hold::Never` on the routes of such clients keeps a quick handler quick.
    ///
    /// [half-close]: https://docs.rs/hyper/1/hyper/server/conn/http1/struct.Builder.html#method.half_close
    pub fn at_disconnect(mut self, unfinished: Unfinished) -> Self {
        self.settings.window.at_disconnect = Some(unfinished);
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

    /// Adds something to be awaited before a response is released: the place to flush telemetry, with the layers in
    /// the order that is described below.
    ///
    /// It is called once for each response that ends, when its tasks are done and before what is held of it
    /// is let go, also where there were no tasks; a stream is held at its end for it. It runs for an error
    /// of the service too, and not for an upgraded exchange. It is part of the drain window, in the
    /// request's span and context (what it spawns is waited for too), and it is dropped at the deadline, or
    /// when the client leaves; a window that closes before the tasks are done does not call it. The report
    /// is as things stand then. Under `Hold::Never` and `Hold::Required` it runs after the response. Several run one
    /// after the other, an outer layer's first; one that panics is logged, and counts as done. Hooks of a nested layer that is
    /// first reached after the handler has answered are not run.
    ///
    /// # A flush of spans
    ///
    /// A span is exported after it has closed, so a flush finds the spans that have closed by then:
    ///
    /// * The spans of the tasks that were waited for have closed when the hook is called.
    /// * A span that middleware *inside* of this layer keeps for the request has closed too, because the handler's
    ///   future and the body are dropped at their ends, before the hook is called. So put tower-http's `TraceLayer`
    ///   inside of this layer where a hook flushes. That holds for whole bodies and streams, with tasks and
    ///   without.
    /// * A span that is kept *outside* of this layer closes after the response has left: no flush before that can
    ///   have it. The next flush exports it.
    ///
    /// No order of layers helps in these cases:
    ///
    /// * The head of a stream is held by [`Hold::Head`]: the hook runs before the body, and the body keeps the span.
    /// * An HTTP/2 body has reached its `content-length` and does not end: the body is still needed.
    /// * The hook is not called (see above), or a task is late or detached. The next flush exports these spans;
    ///   flush at the end of the process too, after [`shutdown`](crate::TrackerHandle::shutdown).
    ///
    /// The example `telemetry` does all of this with the OpenTelemetry SDK.
    pub fn before_release<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(Arc<DrainReport>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.settings.push_hook(hook);
        self
    }

    /// Adds a callback: each of them is called with the report of every request that spawned something, those of
    /// the outermost layer first. It runs as [`DrainObserver::on_drain`] does. A closure `|report| ..` will do;
    /// for late spawns and late ends too there is an [`observer`](Self::observer).
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

    /// Whether each task runs in a `tracing` span of its own, `task`, at level INFO, with the fields
    /// `name` (of named tasks) and `location`, under the span that is current where it is spawned. True
    /// by default; otherwise it runs in that span itself. Without the feature `tracing` it does
    /// nothing.
    ///
    /// The span of a [`detached`](crate::TaskBuilder::detached) task is a root span that follows from the current
    /// one, and has the field `request_id` where the request came with an `x-request-id`. So the request's span
    /// closes without waiting for the task. With `false`, or where the subscriber's filter leaves the span `task`
    /// out, a detached task keeps the span open that it runs in.
    pub fn task_spans(mut self, own: bool) -> Self {
        self.settings.task_spans = Some(own);
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
