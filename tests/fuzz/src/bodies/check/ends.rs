//! Checks when what ends a response is released.

use tokio::time::Instant;
use tower_task_tracker::{Hold, Outcome, Unfinished};

use super::super::plan::{Client, Plan};
use super::super::run::Run;
use super::super::view::Seen;
use crate::clock::ms;

/// Whether the client asks at once for what comes next.
pub(super) fn is_punctual(plan: &Plan) -> bool {
    !matches!(plan.client, Client::IsSlow(_))
}

/// Something ended at `seen` that was ready at `ready`: not before the tasks were done or the window
/// closed, and not later either.
pub(super) fn is_end(plan: &Plan, run: &Run, seen: Seen, ready: Instant) {
    let answered = run.facts.answered.map_or(ready, |answered| answered.at);
    let done = seen.alive == 0 && (plan.hook.is_none() || seen.hooked.is_some());
    let moments = [Some(ready), seen.none_alive_since, seen.hooked];
    if done && moments.contains(&Some(seen.at)) {
        return;
    }
    let moments = [Some(ready), seen.no_required_since];
    if plan.hold == Hold::Required && !seen.required_alive && moments.contains(&Some(seen.at)) {
        return;
    }
    let Some(closed) = deadline(plan, run, answered) else {
        panic!("not in time, and there is no deadline: {seen:?}");
    };
    // A hook alone is not reported.
    let reports = &run.told.reports;
    let expired = |outcome| outcome == Outcome::DeadlineExceeded;
    assert!(
        reports.iter().any(|(report, _)| expired(report.outcome))
            || (reports.is_empty() && plan.hook.is_some()),
        "without a deadline: {seen:?}"
    );
    // A window whose tasks were aborted closes when they are gone: in its last tenth.
    let aborts = match plan.window.at_deadline {
        Unfinished::Continue => ms(0),
        _ => (closed.saturating_duration_since(answered) / 10).min(ms(100)),
    };
    let in_window = seen.at + aborts < closed;
    assert!(!in_window, "before any window could close: {seen:?}");
    if is_punctual(plan) {
        // A timer is at most a millisecond late. A window that has closed stays closed.
        let closed = deadline(plan, run, ready).unwrap_or(closed).max(ready);
        assert!(seen.at <= closed + ms(1), "past the deadline: {seen:?}");
    }
}

/// When a window closes that opens at `opened`.
fn deadline(plan: &Plan, run: &Run, opened: Instant) -> Option<Instant> {
    let window = &plan.window;
    let drain = plan.drain_timeout().map(|timeout| opened + ms(timeout));
    let total = window
        .total_timeout
        .map(|timeout| run.arrived + ms(timeout.into()));
    let client = window.client_timeout.filter(|(timeout, _)| *timeout > 0);
    let client = client.map(|(timeout, at_least)| {
        let least = opened + ms(at_least.into());
        least.max(run.arrived + ms(timeout.into()))
    });
    [drain, total, client].into_iter().flatten().min()
}
