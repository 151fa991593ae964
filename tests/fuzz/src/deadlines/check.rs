//! Checks when the hold of a run ends, and what becomes of its task.

use std::time::Duration;

use tokio::time::Instant;
use tower_task_tracker::{Limit, Outcome, Unfinished};

use super::limit::{Between, SourceLimit};
use super::plan::Plan;
use super::run::Run;
use tower_task_tracker_requests::clock::ms;

/// As documented: what the layer waits for where nothing else is said.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);

/// The most that aborted tasks get for their destructors.
const DESTRUCTOR_TIME: Duration = Duration::from_millis(100);

/// The limits that may close the window: several where the wall clock decides between them.
struct Closing {
    at: Between,
    bounds: Vec<(Limit, bool)>,
}

pub(super) fn check(plan: &Plan, arrived: Instant, limits: &[SourceLimit], run: &Run) {
    let settings = &plan.settings;
    the_handler_reads_the_earliest(arrived, limits, run);
    let ready = ms(settings.handler_takes);
    let task = ms(settings.task_takes);
    let report = &run.report;
    assert_eq!(report.spawned, 1, "{report:?}");
    if task <= ready {
        assert_eq!(run.head, ready, "nothing was alive");
        assert_eq!(run.task, Some(task), "it had ended");
        return;
    }
    let Some(closing) = closing(plan, arrived + ready, limits) else {
        is_drained(run, task);
        return;
    };
    let after = |at: Instant| tick(at.saturating_duration_since(arrived)).max(ready);
    let (earliest, latest) = (after(closing.at.earliest), after(closing.at.latest));
    let clients = closing.bounds.iter().all(|(_, is_client)| *is_client);
    let is_spared = clients || settings.at_deadline == Unfinished::Continue;
    // What is to be aborted is aborted a moment before.
    let early = match is_spared {
        true => ms(0),
        false => DESTRUCTOR_TIME.min((latest - ready) / 10) + ms(1),
    };
    if is_spared {
        assert_eq!(run.task, Some(task), "the task was stopped: {report:?}");
    }
    if task + early < earliest {
        is_drained(run, task);
    } else if task > latest {
        let is_in_time = run.head + early >= earliest && run.head <= latest;
        assert!(is_in_time, "{earliest:?} to {latest:?}: {run:?}");
        assert_eq!(report.outcome, Outcome::DeadlineExceeded, "{report:?}");
        let named = |(bound, _): &(Limit, bool)| report.closed_by == Some(*bound);
        assert!(closing.bounds.iter().any(named), "{report:?}");
        if closing.bounds.iter().all(|(_, is_client)| !is_client) && !is_spared {
            assert_eq!((run.task, report.aborted), (None, 1), "{report:?}");
        }
    } else {
        let is_in_time = run.head + early >= earliest && run.head <= latest.min(task);
        assert!(is_in_time, "{earliest:?} to {latest:?}: {run:?}");
    }
}

fn is_drained(run: &Run, task: Duration) {
    let report = &run.report;
    assert_eq!(run.head, task, "it waits for its task, and no longer");
    assert_eq!(run.task, Some(task));
    assert_eq!(report.outcome, Outcome::Drained, "{report:?}");
    assert_eq!(
        (report.completed, report.closed_by),
        (1, None),
        "{report:?}"
    );
}

/// Before the window is open, its own timeout does not count.
fn the_handler_reads_the_earliest(arrived: Instant, limits: &[SourceLimit], run: &Run) {
    let all = limits.iter().filter_map(|limit| limit.closes(arrived));
    let all: Vec<_> = all.collect();
    let earliest = all.iter().map(|at| at.earliest - arrived).min();
    let latest = all.iter().map(|at| at.latest - arrived).min();
    let is_right = match (earliest, latest) {
        (Some(earliest), Some(latest)) => run
            .known
            .is_some_and(|known| (earliest..=latest).contains(&known)),
        _ => run.known.is_none(),
    };
    assert!(is_right, "{earliest:?} to {latest:?}: {:?}", run.known);
}

/// What closes a window that opens at this moment, if anything does.
fn closing(plan: &Plan, opened: Instant, limits: &[SourceLimit]) -> Option<Closing> {
    let timeout = plan
        .settings
        .drain_timeout
        .map_or(DRAIN_TIMEOUT, |timeout| timeout.0);
    let own = opened.checked_add(timeout).map(|at| {
        let at = Between {
            earliest: at,
            latest: at,
        };
        (at, (Limit::DrainTimeout, false))
    });
    let sources = limits.iter().filter_map(|limit| {
        let bound = Limit::Source(limit.field.source_name());
        Some((limit.closes(opened)?, (bound, limit.field.is_from_client())))
    });
    // In the order in which ties are decided.
    let all: Vec<_> = own.into_iter().chain(sources).collect();
    let earliest = all.iter().map(|(at, _)| at.earliest).min()?;
    let latest = all.iter().map(|(at, _)| at.latest).min()?;
    let at = Between { earliest, latest };
    let mut bounds = Vec::new();
    for (closes, bound) in all {
        if closes.earliest <= latest {
            bounds.push(bound);
        }
        if closes == at && earliest == latest {
            // Those after it are no earlier.
            break;
        }
    }
    Some(Closing { at, bounds })
}

/// A timer has one each millisecond.
fn tick(at: Duration) -> Duration {
    let millis = at.as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).map_or(Duration::MAX, ms)
}
