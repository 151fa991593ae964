//! The log: every event this crate writes. Without the feature `tracing` all of it is empty.

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
    use crate::report::{DrainReport, Outcome, TaskInfo, TaskState};
    #[cfg(feature = "axum")]
    use crate::throttle::Throttle;

    /// What users filter by: the crate, not a path inside of it.
    const TARGET: &str = "tower_task_tracker";

    /// A span, if there is one.
    #[derive(Debug)]
    pub(crate) struct Span(tracing::Span);

    impl Span {
        /// The span that is current; `None` if there is none.
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

        /// Runs `f`. A subscriber that panics when the span is entered, or left, does not keep it from that.
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
                // The subscriber's code: where this is a part of a destructor it must not take that down.
                let span = std::mem::replace(&mut self.0, tracing::Span::none());
                let _ = panics::caught(|| drop(span));
            }
        }
    }

    /// Whether a span is current. That is less work than to ask for the span, and mostly there is none.
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

    /// Under the span that is current; that one itself if the subscriber has disabled the span `task`.
    #[inline]
    pub(crate) fn task_span(
        name: Option<&str>,
        location: &'static Location<'static>,
    ) -> Option<Span> {
        if !is_on(Level::INFO) {
            return Span::current();
        }
        made(|| Span(tracing::info_span!(target: TARGET, "task", name, %location)))
    }

    /// A root span that follows from the one that is current: it does not keep that one open. That one itself
    /// if the subscriber has disabled it.
    pub(crate) fn linked_task_span(
        name: Option<&str>,
        location: &'static Location<'static>,
        request_id: Option<&str>,
    ) -> Option<Span> {
        if !is_on(Level::INFO) {
            return Span::current();
        }
        made(|| {
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

    /// It is made while the task is half counted in: a subscriber that panics must not leave it so.
    #[cold]
    fn made(make: impl FnOnce() -> Span) -> Option<Span> {
        match panics::caught(make) {
            Ok(span) if span.is_none() => current(),
            Ok(span) => Some(span),
            Err(_) => None,
        }
    }

    /// Whether no subscriber is interested in anything: one load, where no span can be.
    #[inline]
    pub(crate) fn is_off() -> bool {
        LevelFilter::current() == LevelFilter::OFF
    }

    /// Whether any subscriber may be interested in this level: one load.
    #[inline]
    fn is_on(level: Level) -> bool {
        level <= LevelFilter::current()
    }

    /// Whether the event of a request is written: of one that has `failed` in some way, or of any other.
    #[inline]
    pub(crate) fn is_request_logged(failed: bool) -> bool {
        if is_off() {
            return false;
        }
        // The subscriber's code: one that panics is asked once more when the event is written.
        panics::caught(|| {
            if failed {
                tracing::enabled!(target: TARGET, tracing::Level::ERROR)
            } else {
                tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
            }
        })
        .unwrap_or(true)
    }

    /// Whether any subscriber may be interested in the event of this request: one load.
    #[inline]
    pub(crate) fn may_log_request(report: &DrainReport) -> bool {
        is_on(level_of(report))
    }

    /// The level of the event of a request.
    #[inline]
    fn level_of(report: &DrainReport) -> Level {
        match report.outcome {
            _ if report.required_failed && has_failed(report) => Level::ERROR,
            Outcome::DeadlineExceeded | Outcome::Shutdown => Level::WARN,
            _ => Level::DEBUG,
        }
    }

    /// Whether the failure of a required task is one of the server.
    fn has_failed(report: &DrainReport) -> bool {
        // What a client leaves behind, and its policy aborts, is no failure of the server.
        let is_failure = |task: &TaskInfo| {
            task.required && matches!(task.state, TaskState::Failed | TaskState::Panicked)
        };
        report.outcome != Outcome::Dropped || report.failures.iter().any(is_failure)
    }

    /// `stream_was_held`: the window closed while the head of a stream was held.
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

    /// A task ended that did not complete. `reported`: a report follows, which is the error where the task
    /// is required.
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
                tracing::debug!(target: TARGET, %task, %location, request_id, "a tracked task was dropped before its end");
            }
            TaskState::Completed | TaskState::Running => {}
        }
    }

    pub(crate) fn outside_a_request(location: &'static Location<'static>) {
        static WARNED: Mutex<BTreeSet<&Location<'_>>> = Mutex::new(BTreeSet::new());
        let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
        if !warned.insert(location) {
            return;
        }
        // A subscriber's own code runs in the next line.
        drop(warned);
        tracing::warn!(target: TARGET,
            %location,
            "spawned outside a request: the task runs, but nothing waits for it \
             (said once for each place; is `TaskTrackerLayer` missing?)"
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
            "a request is tracked by the handle of another layer or scope further out: that of this layer does not see it \
             (logged once for each layer; `tracked_by` gives both the same)"
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

    use crate::report::{DrainReport, TaskInfo};

    pub(crate) const fn is_off() -> bool {
        true
    }

    #[derive(Debug)]
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
