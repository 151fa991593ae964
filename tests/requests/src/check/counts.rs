//! Checks what is reported about the tasks.

use tower_task_tracker::{DrainReport, Limit, Outcome, TaskInfo, Unfinished};

use crate::clock::ms;
use crate::plan::{Plan, Step};
use crate::run::Run;
use crate::world::{Fates, Item};

pub(super) fn each_task_is_reported_once(plan: &Plan, run: &Run) {
    let (calls, facts) = (&run.calls, &run.record.facts);
    assert!(calls.reports.len() <= 1, "{:?}", calls.reports);
    let report = calls.report();
    let reported = report.map_or(0, |report| report.spawned);
    assert!(
        reported > 0 || report.is_none() || facts.detached > 0,
        "a report without tasks: {report:?}"
    );
    let stragglers = report.map_or(&[][..], |report| &report.stragglers);
    let in_tracker = stragglers.iter().filter(|task| task.name.is_none()).count();
    let is_upgraded = report.is_some_and(|report| report.outcome == Outcome::Upgraded);
    let answered = run.record.answered.filter(|_| is_upgraded);
    // A task that is spawned after an upgrade is neither waited for nor late.
    let before = answered.map_or(facts.spawned, |answered| answered.facts.spawned);
    let after = facts.spawned - before;
    let reported = reported + calls.late_spawns;
    // The one in the tokio-util tracker is counted if it was seen alive.
    let seen = usize::from(reported > before && plan.tracker_task.is_some());
    assert_eq!(reported, before + seen, "each task is reported once");
    let alone = stragglers.len() - in_tracker + calls.late_spawns + facts.detached + after;
    assert_eq!(calls.late_ends, alone, "each late end is reported");
}

pub(super) fn the_report_is_right(plan: &Plan, run: &Run) {
    let Some((report, facts)) = run.calls.reports.first() else {
        return;
    };
    let failures = report.failed + report.panicked + report.aborted;
    let counted = report.completed + failures + report.handed_off + report.stragglers.len();
    assert_eq!(counted, report.spawned, "the counts add up: {report:?}");
    assert_eq!(report.failures.len(), failures, "failures: {report:?}");
    if plan.tracker_task.is_none() {
        let fates = Fates {
            completed: report.completed,
            failed: report.failed,
            panicked: report.panicked,
            dropped: report.aborted,
            handed_off: report.handed_off,
        };
        if report.outcome == Outcome::DeadlineExceeded {
            // The report has the counts at the deadline; the observer is called at the end of the response.
            assert!(
                fates.are_before(&facts.fates),
                "{report:?}: {:?}",
                facts.fates
            );
        } else {
            assert_eq!(fates, facts.fates, "how tasks ended: {report:?}");
            assert_eq!(
                report.stragglers.len(),
                facts.alive,
                "stragglers: {report:?}"
            );
        }
    }
    if !plan.holds() {
        assert_eq!(report.held, ms(0), "nothing is held: {report:?}");
    }
    match report.outcome {
        Outcome::Drained => {
            assert!(report.stragglers.is_empty(), "drained: {report:?}");
            // A body that fails waits one more turn after the report: a client may leave in that very moment.
            let fails = plan.leaves_any_time() && report.required_failed;
            let cut_off = !run.view.finished && !fails && !may_have_ended(plan, run);
            assert!(
                !cut_off,
                "the response was dropped before its end: {report:?}"
            );
        }
        Outcome::DeadlineExceeded => {
            let unfinished = !report.stragglers.is_empty() || report.aborted > 0;
            assert!(unfinished || plan.hook.is_some(), "all done: {report:?}");
            assert!(report.closed_by.is_some(), "no limit: {report:?}");
        }
        Outcome::Dropped => assert!(!run.view.finished, "the client read the end: {report:?}"),
        Outcome::Upgraded => assert!(plan.is_upgraded(), "no upgrade: {report:?}"),
        other => panic!("no plan has a shutdown: {other:?}"),
    }
}

/// A policy stops every task, except for one in the tokio-util tracker. Nothing else stops a task.
pub(super) fn a_policy_stops_tasks(plan: &Plan, run: &Run) {
    let report = run.calls.report();
    let has_stopped = run.record.facts.stopped > 0;
    let (must_stop, may_stop) = report.map_or((false, false), |report| stops(plan, report));
    assert!(may_stop || !has_stopped, "a task was stopped: {report:?}");
    let stragglers = report.map_or(&[][..], |report| &report.stragglers);
    // A body may spawn at the moment of the release. Such a task is a straggler, and is stopped right after. A task with
    // a hand-off is handed off in place of it.
    let is_planned = |task: &&TaskInfo| task.name.as_deref() == Some("planned");
    let all_stopped = run.calls.late_stops >= stragglers.iter().filter(is_planned).count();
    assert!(all_stopped || !must_stop, "a task runs on: {report:?}");
}

/// Whether a policy has to stop tasks, and whether it may. The client's own deadline never does.
fn stops(plan: &Plan, report: &DrainReport) -> (bool, bool) {
    let at_deadline = plan.window.at_deadline != Unfinished::Continue;
    let at_disconnect = plan.window.at_disconnect != Unfinished::Continue;
    match report.outcome {
        Outcome::DeadlineExceeded => {
            let stops = at_deadline && !matches!(report.closed_by, Some(Limit::Source(_)));
            (stops, stops)
        }
        // The client may leave while the deadline stops tasks.
        Outcome::Dropped => (at_disconnect, at_disconnect || at_deadline),
        _ => (false, false),
    }
}

/// Whether a client that left could have had everything.
fn may_have_ended(plan: &Plan, run: &Run) -> bool {
    let frames = plan.body.steps.iter();
    let frames = frames.filter(|step| matches!(step, Step::Data(_))).count();
    let yielded = run.record.yielded.iter().map(|(_, item)| item);
    let is_expected = plan.body.shows_its_end
        && yielded.clone().filter(|item| **item != Item::End).count() >= frames;
    // All of it may have been taken before the head.
    let taken = run.view.bytes().max(yielded.map(Item::len).sum());
    let is_reached = plan.server_length().is_some_and(|length| taken >= length);
    run.view.head.is_some() && (plan.ends_with_head() || is_expected || is_reached)
}
