//! Checks what is reported about the tasks.

use tower_task_tracker::{DrainReport, Limit, Outcome, Unfinished};

use super::super::item::Item;
use super::super::plan::Plan;
use super::super::run::Run;
use super::super::script::Step;
use super::super::view::Read;
use super::super::world::Fates;
use crate::clock::ms;

pub(super) fn each_task_is_told_of_once(plan: &Plan, run: &Run) {
    let (told, facts) = (&run.told, &run.facts);
    assert!(told.reports.len() <= 1, "{:?}", told.reports);
    let report = told.reports.first().map(|(report, _)| report);
    let reported = report.map_or(0, |report| report.spawned);
    assert!(reported > 0 || report.is_none() || facts.detached > 0);
    let stragglers = report.map_or(&[][..], |report| &report.stragglers);
    let anonymous = stragglers.iter().filter(|task| task.name.is_none()).count();
    let is_upgraded = report.is_some_and(|report| report.outcome == Outcome::Upgraded);
    let answered = facts.answered.filter(|_| is_upgraded);
    // What is spawned after an upgrade is nobody's who waits, and not late.
    let before = answered.map_or(facts.spawned, |answered| answered.spawned);
    let after = facts.spawned - before;
    let told_of = reported + told.late_spawns;
    // The one in the tokio-util tracker is counted if it was seen alive.
    let seen = usize::from(told_of > before && plan.anonymous.is_some());
    assert_eq!(told_of, before + seen, "each task is told of once");
    let alone = stragglers.len() - anonymous + told.late_spawns + facts.detached + after;
    assert_eq!(told.late_ends, alone, "of each end that is late");
}

pub(super) fn reports_say_what_happened(plan: &Plan, run: &Run) {
    let Some((report, facts)) = run.told.reports.first() else {
        return;
    };
    let failures = report.failed + report.panicked + report.aborted;
    let counted = report.completed + failures + report.stragglers.len();
    assert_eq!(counted, report.spawned, "the counts add up: {report:?}");
    assert_eq!(report.failures.len(), failures, "{report:?}");
    if plan.anonymous.is_none() {
        let fates = Fates {
            completed: report.completed,
            failed: report.failed,
            panicked: report.panicked,
            dropped: report.aborted,
        };
        if report.outcome == Outcome::DeadlineExceeded {
            // It is as things stood at the deadline, and told at the end of the response.
            assert!(
                fates.are_before(&facts.fates),
                "{report:?}: {:?}",
                facts.fates
            );
        } else {
            assert_eq!(fates, facts.fates, "{report:?}");
            assert_eq!(report.stragglers.len(), facts.alive, "{report:?}");
        }
    }
    if !plan.holds() {
        assert_eq!(report.held, ms(0), "nothing is held: {report:?}");
    }
    match report.outcome {
        Outcome::Drained => {
            assert!(report.stragglers.is_empty(), "{report:?}");
            // A body that fails is asked once more before it says so, when all is reported: a client
            // may leave in that very moment.
            let fails = plan.leaves_any_time() && report.required_failed;
            let cut_off = !run.view.finished && !fails && !may_have_ended(plan, run);
            assert!(!cut_off, "it was dropped before its end: {report:?}");
        }
        Outcome::DeadlineExceeded => {
            let unfinished = !report.stragglers.is_empty() || report.aborted > 0;
            assert!(unfinished || plan.hook.is_some(), "{report:?}");
            assert!(report.closed_by.is_some(), "{report:?}");
        }
        Outcome::Dropped => assert!(!run.view.finished, "it was read to its end: {report:?}"),
        Outcome::Upgraded => assert!(plan.is_upgraded(), "{report:?}"),
        other => panic!("nobody shuts down: {other:?}"),
    }
}

/// A task that was stopped was stopped by a policy, and never for the client's own deadline.
pub(super) fn only_what_the_plan_allows_was_stopped(plan: &Plan, run: &Run) {
    if run.facts.killed == 0 {
        return;
    }
    let Some((report, _)) = run.told.reports.first() else {
        panic!("a task was killed, and nothing said of it");
    };
    assert!(!detaches(plan, report), "a task was killed: {report:?}");
}

fn detaches(plan: &Plan, report: &DrainReport) -> bool {
    let (at_deadline, at_disconnect) = (plan.window.at_deadline, plan.window.at_disconnect);
    match report.outcome {
        Outcome::DeadlineExceeded => {
            matches!(report.closed_by, Some(Limit::Source(_)))
                || at_deadline == Unfinished::Continue
        }
        Outcome::Dropped => {
            at_disconnect == Unfinished::Continue && at_deadline == Unfinished::Continue
        }
        Outcome::Upgraded => true,
        _ => false,
    }
}

/// Whether a client that left could have had everything.
fn may_have_ended(plan: &Plan, run: &Run) -> bool {
    let read = run.view.items.iter().map(|Read { item, .. }| item.len());
    let read: u64 = read.sum();
    let frames = plan.body.steps.iter();
    let frames = frames.filter(|step| matches!(step, Step::Data(_))).count();
    let given = run.facts.given.iter();
    let given = given.filter(|(_, item)| *item != Item::End).count();
    let foretold = plan.body.knows_its_end && given >= frames;
    let length = plan.server_length();
    // All of it may have been taken before the head.
    let taken: u64 = run.facts.given.iter().map(|(_, item)| item.len()).sum();
    let is_reached = length.is_some_and(|length| read.max(taken) >= length);
    run.view.head.is_some() && (plan.ends_with_head() || foretold || is_reached)
}
