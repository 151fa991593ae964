//! Checks what reaches the client.

use tower_task_tracker::Hold;

use super::super::gone;
use super::super::item::Item;
use super::super::plan::{Client, Plan};
use super::super::run::Run;
use super::super::script::Ending;
use super::super::view::Read;
use super::ends::is_punctual;

pub(super) fn are_those_of_the_inner_body(plan: &Plan, run: &Run) {
    let (facts, view) = (&run.facts, &run.view);
    let held = plan.hook.is_some() || facts.answered.is_some_and(|answered| answered.alive > 0);
    if view.head_failed || (plan.has_no_body() && held && plan.holds()) {
        // No server sends it: it may have been dropped, for the sake of who feeds it.
        return;
    }
    let inner = facts.given.iter().map(|(_, item)| item);
    let inner: Vec<_> = inner.filter(|item| **item != Item::End).collect();
    let outer = view.items.iter().map(|Read { item, .. }| item);
    let is_of_the_body = |item: &&Item| !matches!(item, Item::End | Item::Failed);
    let outer: Vec<_> = outer.filter(is_of_the_body).collect();
    let failed = has_failed(run);
    let read = view.items.iter().map(|Read { item, .. }| item.len()).sum();
    let may_wait = facts.spawned > 0 || plan.anonymous.is_some() || plan.hook.is_some();
    if view.finished && !failed && may_wait && gone::may_be_cut(plan, read) {
        assert!(inner.starts_with(&outer), "frames out of order");
        let rest = &inner[outer.len()..];
        let is_error = |item: &&Item| **item == Item::Error;
        assert!(
            plan.client == Client::IsServer || rest.iter().all(is_error),
            "{rest:?}"
        );
        return;
    }
    if !view.finished || !plan.is_read() || plan.client == Client::IsServer || failed {
        assert!(inner.starts_with(&outer), "frames out of order");
        return;
    }
    assert_eq!(inner, outer, "a frame was lost or made up");
    if !view.failed {
        let planned = match plan.body.ending {
            Ending::EndMark => Item::End,
            Ending::Trailers => Item::Trailers,
            Ending::Error => Item::Error,
        };
        let ending = view.items.last().map(|Read { item, .. }| item);
        assert_eq!(ending, Some(&planned), "the end");
    }
}

pub(super) fn claim_no_success_for_failed_work(plan: &Plan, run: &Run) {
    let report = run.told.reports.first().map(|(report, _)| report);
    let required_failed = report.is_some_and(|report| report.required_failed);
    if run.view.head_failed || has_failed(run) {
        assert!(required_failed, "nothing has failed: {report:?}");
        return;
    }
    let is_error = |Read { item, .. }: &Read| *item == Item::Error;
    let claims_success =
        run.view.finished && !run.view.failed && !run.view.items.iter().any(is_error);
    let last = run.view.items.last().map(|Read { seen, .. }| *seen);
    let last = last.or(run.view.head);
    // Nothing depends on what was spawned after the release.
    let missing = run.told.late_spawns == 0 && last.is_some_and(|seen| seen.required_missing);
    // Under `Required` the response does not depend on what comes after it, which a slow client may see.
    let required_failed = required_failed && plan.hold != Hold::Required;
    let missing = missing && (plan.hold != Hold::Required || is_punctual(plan));
    assert!(
        !(claims_success && plan.holds() && (required_failed || missing)),
        "a success is claimed: {report:?}"
    );
}

/// The body says that a required task has failed.
fn has_failed(run: &Run) -> bool {
    let mut items = run.view.items.iter();
    items.any(|Read { item, .. }| *item == Item::Failed)
}
