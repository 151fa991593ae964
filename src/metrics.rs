//! All metrics of this crate. Without the feature `metrics` these functions do nothing.

#[cfg(feature = "metrics")]
pub use enabled::describe_metrics;
#[cfg(feature = "metrics")]
pub(crate) use enabled::*;

#[cfg(not(feature = "metrics"))]
pub(crate) use disabled::*;

#[cfg(feature = "metrics")]
mod enabled {
    use metrics::{Unit, counter, gauge, histogram};

    use crate::panics;
    use crate::report::{DrainReport, Outcome, TaskState};

    const DRAIN: &str = "tower_task_tracker_drain_duration_seconds";
    const HELD: &str = "tower_task_tracker_held_responses";
    const LIVE: &str = "tower_task_tracker_live_tasks";
    const TASKS: &str = "tower_task_tracker_tasks_total";
    const FAILED_HAND_OFFS: &str = "tower_task_tracker_failed_hand_offs_total";
    const STRAGGLERS: &str = "tower_task_tracker_stragglers_total";
    const LATE: &str = "tower_task_tracker_late_spawns_total";
    #[cfg(feature = "http")]
    const SHED: &str = "tower_task_tracker_shed_requests_total";

    /// Describes the metrics to the installed recorder, for exporters that show descriptions. Call it once, after the
    /// recorder is installed.
    ///
    /// | metric | kind | unit | labels |
    /// |---|---|---|---|
    /// | `tower_task_tracker_drain_duration_seconds` | histogram | seconds | `outcome`: `drained`, `deadline_exceeded`, `shutdown`, `dropped`, `upgraded` |
    /// | `tower_task_tracker_held_responses` | gauge | responses | |
    /// | `tower_task_tracker_live_tasks` | gauge | tasks | |
    /// | `tower_task_tracker_tasks_total` | counter | tasks | `state`: `completed`, `failed`, `panicked`, `aborted`, `handed_off`; `task`: the name, unless it was computed |
    /// | `tower_task_tracker_failed_hand_offs_total` | counter | tasks | |
    /// | `tower_task_tracker_stragglers_total` | counter | tasks | `reason`: `deadline`, `shutdown`, `client_gone`, `upgraded` |
    /// | `tower_task_tracker_late_spawns_total` | counter | tasks | |
    /// | `tower_task_tracker_shed_requests_total` | counter | requests | |
    ///
    /// * The histogram has one value for each request that spawned a task: how long its tasks, and its `before_release`
    ///   hooks, ran on after the response was ready.
    /// * `tasks_total` counts a task when it ends, also a straggler.
    /// * `failed_hand_offs_total` counts a task that did not complete, and whose hand-off failed. `tasks_total` counts
    ///   that task by how it ended itself.
    /// * `stragglers_total` counts stragglers with the report of their request. Stragglers with the reason
    ///   `client_gone` (the client has left) or `upgraded` (the exchange goes on as an upgraded stream) are no fault of
    ///   the server. Build alerts on the other reasons.
    /// * Tasks in [`Tasks::tracker`](crate::Tasks::tracker) are counted only as stragglers.
    /// * A [`scope`](crate::scope) that waits counts as a held response.
    /// * A counter exists from its first event on, so a new page may lack some counters.
    pub fn describe_metrics() {
        metrics::describe_histogram!(
            DRAIN,
            Unit::Seconds,
            "For how long the tasks of a request ran on after its response was ready."
        );
        metrics::describe_gauge!(
            HELD,
            Unit::Count,
            "Responses that are held now, until their tasks are done."
        );
        metrics::describe_gauge!(LIVE, Unit::Count, "Tasks that are alive now.");
        metrics::describe_counter!(TASKS, Unit::Count, "Tasks that have ended.");
        metrics::describe_counter!(
            FAILED_HAND_OFFS,
            Unit::Count,
            "Tasks that did not complete, and whose hand-off failed."
        );
        metrics::describe_counter!(
            STRAGGLERS,
            Unit::Count,
            "Tasks that were alive when the response was released, or its client had left."
        );
        metrics::describe_counter!(
            LATE,
            Unit::Count,
            "Tasks that were spawned after their request was released."
        );
        #[cfg(feature = "http")]
        metrics::describe_counter!(
            SHED,
            Unit::Count,
            "Requests that were answered 503 because too many tasks were alive."
        );
    }

    pub(crate) fn task_started() {
        record(|| gauge!(LIVE).increment(1.0));
    }

    pub(crate) fn task_ended(name: Option<&'static str>, state: TaskState) {
        let state = match state {
            TaskState::HandedOff => "handed_off",
            _ => state.name(),
        };
        record(|| {
            gauge!(LIVE).decrement(1.0);
            match name {
                Some(name) => counter!(TASKS, "state" => state, "task" => name).increment(1),
                None => counter!(TASKS, "state" => state).increment(1),
            }
        });
    }

    pub(crate) fn drained(report: &DrainReport) {
        let outcome = match report.outcome {
            Outcome::Drained => "drained",
            Outcome::DeadlineExceeded => "deadline_exceeded",
            Outcome::Shutdown => "shutdown",
            Outcome::Dropped => "dropped",
            #[cfg(feature = "http")]
            Outcome::Upgraded => "upgraded",
        };
        let reason = match report.outcome {
            Outcome::Drained => None,
            Outcome::DeadlineExceeded => Some("deadline"),
            Outcome::Shutdown => Some("shutdown"),
            Outcome::Dropped => Some("client_gone"),
            #[cfg(feature = "http")]
            Outcome::Upgraded => Some("upgraded"),
        };
        let stragglers = report.stragglers.len() as u64;
        record(|| {
            histogram!(DRAIN, "outcome" => outcome).record(report.drain);
            if let Some(reason) = reason.filter(|_| stragglers > 0) {
                counter!(STRAGGLERS, "reason" => reason).increment(stragglers);
            }
        });
    }

    /// Counts a response that is held from now on (1), or is held no longer (-1).
    pub(crate) fn held(change: f64) {
        record(|| gauge!(HELD).increment(change));
    }

    pub(crate) fn late_spawn() {
        record(|| counter!(LATE).increment(1));
    }

    pub(crate) fn hand_off_failed() {
        record(|| counter!(FAILED_HAND_OFFS).increment(1));
    }

    #[cfg(feature = "http")]
    pub(crate) fn shed() {
        record(|| counter!(SHED).increment(1));
    }

    /// Runs code of the recorder. This may be in a destructor, so a panic is caught.
    fn record(f: impl FnOnce()) {
        let _ = panics::caught(f);
    }
}

#[cfg(not(feature = "metrics"))]
mod disabled {
    use crate::report::{DrainReport, TaskState};

    pub(crate) fn task_started() {}

    pub(crate) fn task_ended(_: Option<&'static str>, _: TaskState) {}

    pub(crate) fn drained(_: &DrainReport) {}

    pub(crate) fn held(_: f64) {}

    pub(crate) fn late_spawn() {}

    pub(crate) fn hand_off_failed() {}

    #[cfg(feature = "http")]
    pub(crate) fn shed() {}
}
