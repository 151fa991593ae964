//! All events and spans of this crate. Without the feature `tracing` these functions do nothing.

#[cfg(feature = "tracing")]
pub(crate) use enabled::*;

#[cfg(not(feature = "tracing"))]
pub(crate) use disabled::*;

#[cfg(feature = "tracing")]
mod enabled {
    use std::collections::BTreeSet;
    use std::panic::Location;
    use std::sync::{Mutex, PoisonError};
    #[cfg(feature = "axum")]
    use std::time::Duration;

    #[cfg(feature = "axum")]
    use tokio::time::Instant;
    use tracing::Level;
    use tracing::dispatcher::{Dispatch, get_default};
    use tracing::level_filters::LevelFilter;

    use crate::panics;
    use crate::report::{DrainReport, NotDone, Outcome, TaskInfo, TaskState};
    #[cfg(feature = "axum")]
    use crate::throttle::Throttle;

    /// The target of all events and spans, for filters: the name of the crate, not the path of a module.
    const TARGET: &str = "tower_task_tracker";

    /// An enabled span.
    #[derive(Debug, Clone)]
    pub(crate) struct Span(tracing::Span);

    impl Span {
        /// Returns the current span; `None` if there is none.
        #[inline]
        pub(crate) fn current() -> Option<Self> {
            if is_off() || !has_current() {
                return None;
            }
            current()
        }

        fn is_none(&self) -> bool {
            self.0.is_disabled()
        }

        /// Runs `f` in the span. `f` runs also if the subscriber panics when the span is entered or left.
        pub(crate) fn in_scope<T>(&self, f: impl FnOnce() -> T) -> T {
            if self.is_none() {
                return f();
            }
            let _entered = Entered(panics::caught(|| self.0.enter()).ok());
            f()
        }
    }

    impl Drop for Span {
        #[inline]
        fn drop(&mut self) {
            if !self.is_none() {
                // This runs code of the subscriber, perhaps in a destructor, so a panic is caught.
                let span = std::mem::replace(&mut self.0, tracing::Span::none());
                let _ = panics::caught(|| drop(span));
            }
        }
    }

    /// Returns true if there is a current span. This is cheaper than getting the span, and in most cases there is none.
    fn has_current() -> bool {
        let has_current = |dispatch: &Dispatch| dispatch.current_span().id().is_some();
        panics::caught(|| get_default(has_current)) == Ok(true)
    }

    #[cold]
    fn current() -> Option<Span> {
        let span = panics::caught(tracing::Span::current).ok().map(Span);
        span.filter(|span| !span.is_none())
    }

    struct Entered<'a>(Option<tracing::span::Entered<'a>>);

    impl Drop for Entered<'_> {
        fn drop(&mut self) {
            let entered = self.0.take();
            let _ = panics::caught(|| drop(entered));
        }
    }

    /// Returns a span for a task, under the current span. If the subscriber has disabled it, returns the current span.
    #[inline]
    pub(crate) fn task_span(
        name: Option<&str>,
        location: &'static Location<'static>,
    ) -> Option<Span> {
        if !is_on(Level::INFO) {
            return Span::current();
        }
        make_span(|| Span(tracing::info_span!(target: TARGET, "task", name, %location)))
    }

    /// Returns a root span for a task. It follows from the current span, and does not keep that open. If the subscriber
    /// has disabled it, returns the current span.
    pub(crate) fn linked_task_span(
        name: Option<&str>,
        location: &'static Location<'static>,
        request_id: Option<&str>,
    ) -> Option<Span> {
        if !is_on(Level::INFO) {
            return Span::current();
        }
        make_span(|| {
            let span = Span(tracing::info_span!(
                target: TARGET, parent: None, "task", name, %location, request_id
            ));
            if !span.is_none() {
                let _ = panics::caught(|| {
                    span.0.follows_from(tracing::Span::current());
                });
            }
            span
        })
    }

    /// Makes the span of a task. A panic of the subscriber is caught, because it would leave the task half counted in.
    #[cold]
    fn make_span(make: impl FnOnce() -> Span) -> Option<Span> {
        match panics::caught(make) {
            Ok(span) if span.is_none() => current(),
            Ok(span) => Some(span),
            Err(_) => None,
        }
    }

    /// Returns true if no subscriber is interested in anything, so that there can be no span. It is one load.
    #[inline]
    pub(crate) fn is_off() -> bool {
        LevelFilter::current() == LevelFilter::OFF
    }

    /// Returns true if a subscriber may be interested in this level. It is one load.
    #[inline]
    fn is_on(level: Level) -> bool {
        level <= LevelFilter::current()
    }

    /// Returns true if the event about the end of a request is written, for a request in which something has `failed`,
    /// or for any other.
    #[inline]
    pub(crate) fn is_request_logged(failed: bool) -> bool {
        if is_off() {
            return false;
        }
        // If the subscriber panics, the event counts as enabled, and the subscriber is called again for the event.
        panics::caught(|| {
            if failed {
                tracing::enabled!(target: TARGET, tracing::Level::ERROR)
            } else {
                tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
            }
        })
        .unwrap_or(true)
    }

    /// Returns true if a subscriber may be interested in the event about the end of this request. It is one load.
    #[inline]
    pub(crate) fn may_log_request(report: &DrainReport) -> bool {
        is_on(level_of(report))
    }

    /// Returns the level of the event about the end of a request.
    #[inline]
    fn level_of(report: &DrainReport) -> Level {
        match report.outcome {
            _ if report.required_failed && has_failed(report) => Level::ERROR,
            Outcome::DeadlineExceeded | Outcome::Shutdown => Level::WARN,
            _ => Level::DEBUG,
        }
    }

    /// Returns true if a failed required task is a failure of the server.
    fn has_failed(report: &DrainReport) -> bool {
        // A task that was alive when its client left, or that was aborted for that, is no failure of the server.
        let is_failure = |task: &TaskInfo| {
            task.required && matches!(task.state, TaskState::Failed | TaskState::Panicked)
        };
        report.outcome != Outcome::Dropped || report.failures.iter().any(is_failure)
    }

    /// Logs the end of a request. `stream_was_held`: the window closed while the head of a stream was held.
    pub(crate) fn request_ended(report: &DrainReport, stream_was_held: bool) {
        let hint = stream_was_held.then_some(
            "the head of a stream was held: a task that feeds or reads its body, or waits for its drop, cannot \
             end before that head is sent; `Hold::End` sends it at once",
        );
        match level_of(report) {
            Level::ERROR => {
                tracing::error!(target: TARGET, %report, hint, "a task that the response depends on has failed");
            }
            Level::WARN => {
                tracing::warn!(target: TARGET, %report, hint, "the drain window closed before everything was done");
            }
            _ => tracing::debug!(target: TARGET, %report, "the tasks of a request"),
        }
    }

    pub(crate) fn late_spawn(task: &TaskInfo, request_id: Option<&str>) {
        tracing::warn!(target: TARGET,
            %task,
            location = %task.location,
            request_id,
            "a task was spawned after its request was released: the response did not wait for it"
        );
    }

    /// Logs the end of a task that did not complete. `reported`: a report counts the task. If the task is required, the
    /// event of that report is the error.
    pub(crate) fn task_ended(task: &TaskInfo, reported: bool, request_id: Option<&str>) {
        let (location, required) = (task.location, task.required);
        match task.state {
            TaskState::Failed if required && reported => {
                tracing::warn!(target: TARGET, %task, %location, request_id, "a required task failed");
            }
            TaskState::Panicked if required && reported => {
                tracing::warn!(target: TARGET, %task, %location, request_id, "a required task panicked");
            }
            TaskState::Failed if required => {
                tracing::error!(target: TARGET, %task, %location, request_id, "a required task failed");
            }
            TaskState::Failed => {
                tracing::warn!(target: TARGET, %task, %location, request_id, "a tracked task failed");
            }
            TaskState::Panicked => {
                tracing::error!(target: TARGET, %task, %location, request_id, "a tracked task panicked");
            }
            TaskState::Aborted => {
                tracing::debug!(target: TARGET,
                    %task,
                    %location,
                    request_id,
                    "a tracked task was dropped before its end"
                );
            }
            TaskState::Completed | TaskState::HandedOff | TaskState::Running => {}
        }
    }

    /// Logs a hand-off that has succeeded. `error`: the message of the task itself.
    pub(crate) fn handed_off(
        task: &TaskInfo,
        why: NotDone,
        error: Option<&str>,
        request_id: Option<&str>,
    ) {
        tracing::info!(target: TARGET, %task, location = %task.location, %why, error, request_id, "handed off");
    }

    /// Logs a hand-off that has failed. The message of `task` is that of the hand-off. `error`: the message of the task
    /// itself.
    pub(crate) fn hand_off_failed(
        task: &TaskInfo,
        why: NotDone,
        error: Option<&str>,
        request_id: Option<&str>,
    ) {
        tracing::error!(target: TARGET,
            %task,
            location = %task.location,
            %why,
            error,
            request_id,
            "the hand-off of a task failed: its work may be lost"
        );
    }

    pub(crate) fn outside_a_request(location: &'static Location<'static>) {
        static WARNED: Mutex<BTreeSet<&Location<'_>>> = Mutex::new(BTreeSet::new());
        let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
        if !warned.insert(location) {
            return;
        }
        // The event runs code of the subscriber, which must not run under the lock.
        drop(warned);
        tracing::warn!(target: TARGET,
            %location,
            "spawned outside a request: the task runs, but nothing waits for it \
             (logged once for each place; is `TaskTrackerLayer` missing?)"
        );
    }

    pub(crate) fn handler_lost(suppressed: usize) {
        tracing::warn!(target: TARGET,
            suppressed,
            "a handler was dropped before it had answered, because its client left or a layer further out gave up: \
             what it had not done is lost \
             (logged once a minute for each layer at most; `RunToCompletionLayer` lets handlers run to their end)"
        );
    }

    pub(crate) fn handle_sees_nothing(location: &'static Location<'static>) {
        tracing::warn!(target: TARGET,
            %location,
            "a request is tracked by the handle of another layer or scope further out: \
             that of this layer does not see it (logged once for each layer; `tracked_by` gives both the same)"
        );
    }

    #[cfg(feature = "http")]
    pub(crate) fn shed(live: usize) {
        tracing::debug!(target: TARGET, live_tasks = live, "a request was shed: too many tasks are alive");
    }

    #[cfg(feature = "axum")]
    pub(crate) fn layer_is_missing(method: &http::Method, path: &str, message: &str) {
        static THROTTLE: Throttle = Throttle::new(Duration::from_secs(1));
        if THROTTLE.pass(Instant::now(), || true).is_some() {
            tracing::error!(target: TARGET, %method, path, "{message}");
        }
    }

    pub(crate) fn deadline_ignored(source: &'static str, reason: &'static str) {
        tracing::debug!(target: TARGET, source, reason, "a deadline was ignored");
    }

    pub(crate) fn callback_panicked(message: Option<&str>) {
        tracing::error!(target: TARGET,
            panic = message.unwrap_or("(no message)"),
            "a callback panicked"
        );
    }
}

#[cfg(not(feature = "tracing"))]
mod disabled {
    use std::panic::Location;

    use crate::report::{DrainReport, NotDone, TaskInfo};

    pub(crate) const fn is_off() -> bool {
        true
    }

    #[derive(Debug, Clone)]
    pub(crate) struct Span;

    impl Span {
        pub(crate) fn current() -> Option<Self> {
            None
        }

        pub(crate) fn in_scope<T>(&self, f: impl FnOnce() -> T) -> T {
            f()
        }
    }

    pub(crate) fn task_span(_: Option<&str>, _: &'static Location<'static>) -> Option<Span> {
        None
    }

    pub(crate) fn linked_task_span(
        _: Option<&str>,
        _: &'static Location<'static>,
        _: Option<&str>,
    ) -> Option<Span> {
        None
    }

    pub(crate) fn is_request_logged(_: bool) -> bool {
        false
    }

    pub(crate) fn may_log_request(_: &DrainReport) -> bool {
        false
    }

    pub(crate) fn request_ended(_: &DrainReport, _: bool) {}

    pub(crate) fn late_spawn(_: &TaskInfo, _: Option<&str>) {}

    pub(crate) fn task_ended(_: &TaskInfo, _: bool, _: Option<&str>) {}

    pub(crate) fn handed_off(_: &TaskInfo, _: NotDone, _: Option<&str>, _: Option<&str>) {}

    pub(crate) fn hand_off_failed(_: &TaskInfo, _: NotDone, _: Option<&str>, _: Option<&str>) {}

    pub(crate) fn outside_a_request(_: &'static Location<'static>) {}

    pub(crate) fn handler_lost(_: usize) {}

    pub(crate) fn handle_sees_nothing(_: &'static Location<'static>) {}

    #[cfg(feature = "http")]
    pub(crate) fn shed(_: usize) {}

    #[cfg(feature = "axum")]
    pub(crate) fn layer_is_missing(_: &http::Method, _: &str, _: &str) {}

    pub(crate) fn deadline_ignored(_: &'static str, _: &'static str) {}

    pub(crate) fn callback_panicked(_: Option<&str>) {}
}
