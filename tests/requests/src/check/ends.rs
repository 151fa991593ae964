//! Checks when what ends a response is released.

use tokio::time::Instant;
use tower_task_tracker::{Hold, Outcome, Unfinished};

use crate::clock::ms;
use crate::plan::Plan;
use crate::run::Run;
use crate::world::Moment;

/// Something that ends a response was ready at `ready` and was seen at `seen`: not before the tasks were done or the
/// window closed, and not later either.
pub(super) fn is_end(plan: &Plan, run: &Run, seen: Moment, ready: Instant) {
    let answered = run.record.answered.map_or(ready, |answered| answered.at);
    let facts = seen.facts;
    let is_done = facts.alive == 0 && (plan.hook.is_none() || facts.hooked.is_some());
    let moments = [Some(ready), facts.none_alive_since, facts.hooked];
    if is_done && moments.contains(&Some(seen.at)) {
        return;
    }
    let moments = [Some(ready), facts.no_required_since];
    // A failed body ends a turn after the release: a required task that begins meanwhile is late.
    let is_late = facts.required_failed && run.calls.late_spawns > 0;
    let is_done = plan.hold == Hold::Required && (facts.required_alive == 0 || is_late);
    if is_done && moments.contains(&Some(seen.at)) {
        return;
    }
    let Some(closed) = deadline(plan, run, answered) else {
        panic!("not in time, and there is no deadline: {seen:?}");
    };
    // A hook alone is not reported.
    let is_expired = match run.calls.report() {
        Some(report) => report.outcome == Outcome::DeadlineExceeded,
        None => plan.hook.is_some(),
    };
    assert!(is_expired, "not in time, without a deadline: {seen:?}");
    // A window whose tasks were aborted closes when they are gone: in its last tenth.
    let aborts = match plan.window.at_deadline {
        Unfinished::Continue => ms(0),
        _ => (closed.saturating_duration_since(answered) / 10).min(ms(100)),
    };
    let in_window = seen.at + aborts < closed;
    assert!(!in_window, "before any window could close: {seen:?}");
    if plan.is_punctual() {
        // A timer is at most a millisecond late. A window that has closed stays closed.
        let closed = deadline(plan, run, ready).unwrap_or(closed).max(ready);
        assert!(seen.at <= closed + ms(1), "past the deadline: {seen:?}");
    }
}

/// When a window closes that opens at `opened`.
fn deadline(plan: &Plan, run: &Run, opened: Instant) -> Option<Instant> {
    let window = &plan.window;
    let own = own_limit(plan, run, opened);
    let client = window.client_timeout.filter(|(timeout, _)| *timeout > 0);
    let client = client.map(|(timeout, at_least)| {
        let least = opened + ms(at_least);
        least.max(run.arrived + ms(timeout))
    });
    [own, client].into_iter().flatten().min()
}

/// The earliest limit that the client did not choose, of a window that opens at `opened`.
pub(super) fn own_limit(plan: &Plan, run: &Run, opened: Instant) -> Option<Instant> {
    let drain = plan.drain_timeout().map(|timeout| opened + ms(timeout));
    let total = plan.window.total_timeout;
    let total = total.map(|timeout| run.arrived + ms(timeout));
    [drain, total].into_iter().flatten().min()
}
