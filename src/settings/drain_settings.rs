//! The settings that layers and scopes have in common.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{TaskSpans, Unfinished, WindowSettings};
use crate::report::{DrainObserver, DrainReport, OnDrain};

/// A callback whose future is awaited before a response is released.
pub(crate) type Hook =
    dyn Fn(Arc<DrainReport>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// The settings of a drain, shared by `TaskTrackerLayer`, [`TaskScopeLayer`](crate::TaskScopeLayer) and
/// [`Scope`](crate::Scope).
///
/// Each of the three takes a value in its method `settings`. Most methods below have a shorthand there. In this text,
/// *response* also stands for the answer of a service and for the result of a scope.
///
/// # What wins
///
/// * A setting that is set explicitly wins over the enclosing layer. A setting that is not set is inherited, and has
///   its default if no layer sets it.
/// * Of two calls the later one wins, for each setting.
/// * Callbacks add up: [`before_release`](Self::before_release), [`on_drain`](Self::on_drain) and
///   [`observer`](Self::observer) each add one. Those of the outermost layer run first. If clones of these settings add
///   the same callback to a request twice, it runs once.
///
/// ```
/// use std::time::Duration;
/// use tower_task_tracker::{DrainSettings, Scope, TaskScopeLayer, Unfinished};
///
/// let settings = DrainSettings::new()
///     .drain_timeout(Duration::from_secs(5))
///     .at_deadline(Unfinished::Abort)
///     .on_drain(|report| println!("{report}"));
///
/// let layer = TaskScopeLayer::new().settings(settings.clone());
/// let scope = Scope::new().settings(settings);
/// # let _ = (layer, scope);
/// ```
#[derive(Clone, Default)]
#[must_use = "settings do nothing before a layer or a scope takes them"]
pub struct DrainSettings {
    pub(crate) window: WindowSettings,
    pub(crate) task_spans: Option<TaskSpans>,
    pub(crate) hooks: Vec<Arc<Hook>>,
    pub(crate) observers: Vec<Arc<dyn DrainObserver>>,
}

impl DrainSettings {
    /// Returns settings in which nothing is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long a response waits for its tasks. The default is 25 s. Gateways often allow 29 or 30 s for the whole
    /// request, so set a [`total_timeout`](Self::total_timeout) too if handlers are slow.
    ///
    /// The time is measured on tokio's clock. It starts when the drain window opens:
    ///
    /// | what waits | the window opens when |
    /// |---|---|
    /// | `TaskTrackerLayer`, a held head | the handler has answered |
    /// | `TaskTrackerLayer`, a held end | the body has ended, or has given the last byte of a known length |
    /// | `TaskTrackerLayer`, a response that is not held (`Hold::Never`, `Hold::Required`) | the response has ended |
    /// | [`TaskScopeLayer`](crate::TaskScopeLayer) | the service has answered |
    /// | [`Scope`](crate::Scope) | the future has ended |
    ///
    /// When the time is over, the response is released, and [`at_deadline`](Self::at_deadline) decides what happens to
    /// the tasks.
    ///
    /// * Zero gives running tasks one turn of the scheduler: the wait yields once, as [`tokio::task::yield_now`] does,
    ///   and then closes the window. On a current-thread runtime, tasks that are ready are usually polled by then.
    ///   tokio does not guarantee it.
    /// * `None` waits without limit, and so does a time that is too long for the clock.
    /// * If the tasks were done while the head was held, and then the end of the body has to wait too, the end gets its
    ///   own drain timeout. [`total_timeout`](Self::total_timeout) bounds both together. A body that is dropped because
    ///   a required task failed may spawn tasks: the wait for these gets its own drain timeout too. If the timeout
    ///   passed while the head was held, the end is not held.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or on one without the time driver
    /// ([`Builder::enable_time`](tokio::runtime::Builder::enable_time)), a wait that has a limit panics if it outlasts
    /// its first turn of the scheduler.
    pub fn drain_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.window.drain_timeout = Some(timeout.into());
        self
    }

    /// Sets the total timeout: how long after the arrival of its request a response may still wait for its tasks. The
    /// default is `None`: no limit.
    ///
    /// The time is measured on tokio's clock. It starts when the request reaches the first layer that sets a total
    /// timeout, or when the future of a [`Scope`](crate::Scope) is first polled.
    ///
    /// It bounds only the wait, and does not interrupt the handler. If the handler takes longer, or the timeout is
    /// zero, the window closes as soon as it opens, and running tasks get one turn of the scheduler.
    pub fn total_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.window.total_timeout = Some(timeout.into());
        self
    }

    /// Sets what happens to tasks that are alive at the deadline. The default is [`Unfinished::Continue`]: they run on,
    /// and are reported as stragglers.
    ///
    /// A response is released at its deadline at the latest, so `Abort` aborts tasks a moment before the deadline, and
    /// so does `Cancel` for tasks that did not end in its grace. If the client chose the deadline, every task runs on.
    pub fn at_deadline(mut self, unfinished: Unfinished) -> Self {
        self.window.at_deadline = Some(unfinished);
        self
    }

    /// Sets the grace of [hand-offs](crate::TaskBuilder::or_hand_off): the last part of the drain window, which is kept
    /// free for them. The default is a quarter of the window, and 2 s at most.
    ///
    /// A task with a hand-off that is alive when this time begins is stopped, whatever
    /// [`at_deadline`](Self::at_deadline) is, and its hand-off runs. The time is measured on tokio's clock, back from
    /// the earliest limit that the client did not choose. A grace that is longer than the window begins with the
    /// window. A shutdown keeps the same time free before its end.
    ///
    /// If there are such tasks, and the policy is [`Unfinished::Cancel`], the request's
    /// [`cancellation_token`](crate::Tasks::cancellation_token) is cancelled earlier, so that the whole grace of that
    /// policy has passed when they are stopped.
    ///
    /// Zero stops the tasks at the deadline. Their hand-offs are then late for the response, which fails.
    pub fn hand_off_grace(mut self, grace: Duration) -> Self {
        self.window.hand_off_grace = Some(grace);
        self
    }

    /// Sets what happens to the tasks when the response is dropped before its end, or when the future of the response
    /// is dropped: the client has left, or a timeout outside of the layer has passed. The default is
    /// [`Unfinished::Continue`]: the tasks run on, and are reported as stragglers at once.
    ///
    /// * [`Unfinished::Abort`] aborts them at once, and gives their destructors 100 ms.
    /// * [`Unfinished::Cancel`] cancels the request's token, and gives the tasks its `grace` to end, counted from the
    ///   drop, on tokio's clock. With a grace of zero it aborts at once.
    /// * For both, a small task on the current runtime waits for the tasks. The report follows after this wait. Without
    ///   a runtime they abort and report at once.
    ///
    /// The guide [`disconnects`](crate::guide::disconnects) lists which clients a server notices, and what applies to
    /// clients that close their sending half.
    pub fn at_disconnect(mut self, unfinished: Unfinished) -> Self {
        self.window.at_disconnect = Some(unfinished);
        self
    }

    /// Adds a hook: a future that is awaited before a response is released, for example to flush telemetry. There is
    /// none by default.
    ///
    /// * A hook runs once for each response that ends, after its tasks are done. It also runs if there were no tasks,
    ///   and for an error of the service. The end of a stream is held for it.
    /// * It runs in the request's span and context. The tasks that it spawns are waited for too. Its argument is the
    ///   report at that moment.
    /// * It is a part of the drain window, and is dropped at the deadline or when the client leaves.
    /// * Several hooks run one after the other. A hook that panics is logged, and counts as done.
    /// * Under `Hold::Never` and `Hold::Required` it runs after the response.
    ///
    /// A hook is not called if the window closes before the tasks are done, if the response is dropped, or if the
    /// exchange is upgraded. A hook of a nested layer is not called if that layer is first called after the handler has
    /// answered, for example by a task or a body that calls a service with its own layer.
    ///
    /// # A flush of spans
    ///
    /// A span is exported after it has closed. So a flush in a hook exports the spans that have closed before the hook
    /// is called:
    ///
    /// * those of the tasks that were waited for;
    /// * a span that middleware *inside* of the layer keeps for the request, because the layer drops the inner future
    ///   and the body before it calls the hook. So put tower-http's `TraceLayer` inside of the layer whose hook
    ///   flushes. This holds for whole bodies and streams, with tasks and without;
    /// * a span that the future of a [`Scope`](crate::Scope) keeps.
    ///
    /// A flush misses a span that is kept *outside* of the layer or the scope, because that span closes after the
    /// response has left. The next flush exports it. With `lambda_runtime`, flush outside of the layer after its
    /// answer, as the `OpenTelemetryLayer` of that crate does. Under a [`TaskScopeLayer`](crate::TaskScopeLayer) a
    /// flush also misses a span that the answer itself keeps, as `TraceLayer` does in the body.
    ///
    /// In these cases no order of layers helps:
    ///
    /// * `Hold::Head` holds the head of a stream. The hook runs before the body, and the body keeps the span.
    /// * An HTTP/2 body has reached its `content-length` but has not ended. It is still needed, so it keeps its span
    ///   while the hook runs.
    /// * The hook is not called, or a task is late or detached. The next flush exports these spans. Flush at the end of
    ///   the process too, after [`shutdown`](crate::TrackerHandle::shutdown).
    ///
    /// The example `telemetry` does all of this with the OpenTelemetry SDK.
    pub fn before_release<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(Arc<DrainReport>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let hook: Arc<Hook> = Arc::new(move |report| Box::pin(hook(report)));
        self.hooks.push(hook);
        self
    }

    /// Adds a callback that receives the report of every request that spawned a task, such as a closure `|report| ..`.
    /// It is called as [`DrainObserver::on_drain`] is. For late spawns and late ends, use [`observer`](Self::observer).
    pub fn on_drain(self, f: impl Fn(&DrainReport) + Send + Sync + 'static) -> Self {
        self.observer(OnDrain(f))
    }

    /// Adds an observer, which has three callbacks. Observers and the closures of [`on_drain`](Self::on_drain) are one
    /// list. They are called in the order in which they were added.
    pub fn observer(mut self, observer: impl DrainObserver) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Sets the `tracing` span that tasks run in. The default is [`TaskSpans::Child`].
    pub fn task_spans(mut self, spans: TaskSpans) -> Self {
        self.task_spans = Some(spans);
        self
    }

    /// Merges the settings of a nested layer, which win. Callbacks that are here or in `known` already are not added.
    pub(crate) fn overlay(&mut self, inner: &Self, known: &Self) {
        let Self {
            window,
            task_spans,
            hooks,
            observers,
        } = inner;
        self.window = window.over(self.window);
        self.task_spans = task_spans.or(self.task_spans);
        add_new(&mut self.hooks, hooks, &known.hooks);
        add_new(&mut self.observers, observers, &known.observers);
    }

    /// Returns true if nothing is set.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            window,
            task_spans,
            hooks,
            observers,
        } = self;
        *window == WindowSettings::default()
            && task_spans.is_none()
            && hooks.is_empty()
            && observers.is_empty()
    }
}

impl fmt::Debug for DrainSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainSettings")
            .field("window", &self.window)
            .field("task_spans", &self.task_spans)
            .field("hooks", &self.hooks.len())
            .field("observers", &self.observers.len())
            .finish()
    }
}

fn add_new<T: ?Sized>(list: &mut Vec<Arc<T>>, more: &[Arc<T>], known: &[Arc<T>]) {
    for item in more {
        let is_this = |other: &Arc<T>| std::ptr::addr_eq(Arc::as_ptr(other), Arc::as_ptr(item));
        if !known.iter().chain(&*list).any(is_this) {
            list.push(item.clone());
        }
    }
}

/// Defines the methods of a builder that has [`DrainSettings`] at `$field`.
macro_rules! short_hands {
    ($($field:ident).+) => {
        /// Adds settings. They win over those that were set before.
        pub fn settings(mut self, settings: $crate::settings::DrainSettings) -> Self {
            self.$($field).+.overlay(&settings, &Default::default());
            self
        }

        /// Sets [`DrainSettings::drain_timeout`](crate::DrainSettings::drain_timeout): 25 s by default.
        pub fn drain_timeout(
            mut self,
            timeout: impl Into<Option<std::time::Duration>>,
        ) -> Self {
            self.$($field).+ = self.$($field).+.drain_timeout(timeout);
            self
        }

        /// Sets [`DrainSettings::total_timeout`](crate::DrainSettings::total_timeout): no limit by default.
        pub fn total_timeout(
            mut self,
            timeout: impl Into<Option<std::time::Duration>>,
        ) -> Self {
            self.$($field).+ = self.$($field).+.total_timeout(timeout);
            self
        }

        /// Sets [`DrainSettings::at_deadline`](crate::DrainSettings::at_deadline):
        /// [`Unfinished::Continue`](crate::Unfinished::Continue) by default.
        pub fn at_deadline(mut self, unfinished: $crate::settings::Unfinished) -> Self {
            self.$($field).+ = self.$($field).+.at_deadline(unfinished);
            self
        }

        /// Sets [`DrainSettings::at_disconnect`](crate::DrainSettings::at_disconnect):
        /// [`Unfinished::Continue`](crate::Unfinished::Continue) by default.
        pub fn at_disconnect(mut self, unfinished: $crate::settings::Unfinished) -> Self {
            self.$($field).+ = self.$($field).+.at_disconnect(unfinished);
            self
        }

        /// Adds a hook that is awaited before a response is released: see
        /// [`DrainSettings::before_release`](crate::DrainSettings::before_release).
        pub fn before_release<F, Fut>(mut self, hook: F) -> Self
        where
            F: Fn(std::sync::Arc<$crate::report::DrainReport>) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = ()> + Send + 'static,
        {
            self.$($field).+ = self.$($field).+.before_release(hook);
            self
        }

        /// Adds a callback that receives the reports: see [`DrainSettings::on_drain`](crate::DrainSettings::on_drain).
        pub fn on_drain(
            mut self,
            f: impl Fn(&$crate::report::DrainReport) + Send + Sync + 'static,
        ) -> Self {
            self.$($field).+ = self.$($field).+.on_drain(f);
            self
        }

        /// Adds an observer of reports, late spawns and late ends: see
        /// [`DrainSettings::observer`](crate::DrainSettings::observer).
        pub fn observer(mut self, observer: impl $crate::report::DrainObserver) -> Self {
            self.$($field).+ = self.$($field).+.observer(observer);
            self
        }
    };
}
pub(crate) use short_hands;
