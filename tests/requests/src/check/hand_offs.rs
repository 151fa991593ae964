//! Checks which hand-offs begin, why, and when.

use tower_task_tracker::{NotDone, Unfinished};

use super::ends::own_limit;
use crate::clock::ms;
use crate::plan::Plan;
use crate::run::Run;
use crate::world::{Begun, Fate};

pub(super) fn begin_once_with_their_reason(plan: &Plan, run: &Run) {
    for begun in &run.record.hand_offs {
        let Some(fate) = begun.fate else {
            panic!("a second hand-off, or one of a task that completed: {begun:?}");
        };
        let fits = match begun.why {
            NotDone::Failed => fate == Fate::Failed,
            NotDone::Panicked => fate == Fate::Panicked,
            NotDone::Aborted => fate == Fate::Dropped && begun.is_abort_planned,
            NotDone::ClientGone => {
                fate == Fate::Dropped && plan.window.at_disconnect != Unfinished::Continue
            }
            NotDone::Deadline => fate == Fate::Dropped && !begun.is_detached,
            _ => false,
        };
        assert!(fits, "the reason: {begun:?}");
        if begun.why == NotDone::Deadline {
            is_not_early(plan, run, begun);
        }
    }
}

/// A deadline stops a task with a hand-off not before the earliest limit that the client did not choose, less the
/// grace.
fn is_not_early(plan: &Plan, run: &Run, begun: &Begun) {
    let Some(answered) = run.record.answered else {
        panic!("before the window: {begun:?}");
    };
    let Some(limit) = own_limit(plan, run, answered.at) else {
        panic!("only the client chose a limit: {begun:?}");
    };
    let window = limit.saturating_duration_since(answered.at);
    let grace = plan
        .window
        .hand_off_grace
        .map_or((window / 4).min(ms(2_000)), ms);
    // The policy itself stops tasks in the last tenth of the window.
    let grace = match plan.window.at_deadline {
        Unfinished::Continue => grace,
        _ => grace.max((window / 10).min(ms(100))),
    };
    let is_early = begun.at < answered.at || begun.at + grace < limit;
    assert!(!is_early, "before the hand-off point: {begun:?}");
}
