//! Checks what reaches the client.

use tower_task_tracker::Hold;

use crate::plan::{Client, Ending, Length, Plan};
use crate::run::{Forecast, Run};
use crate::world::Item;

/// What a body returns about the items to come is true, and exact, if that of the inner one is.
pub(crate) fn check_forecast(plan: &Plan, forecast: &Forecast, item: &Item, left: u64) {
    let Forecast { hint, is_end } = forecast;
    assert!(
        !is_end || *item == Item::End,
        "`is_end_stream` was true before {item:?}"
    );
    let body = &plan.body;
    // The body may have been dropped unsent.
    let is_dropped = plan.has_no_body() && *item == Item::End;
    if is_dropped || *item == Item::Failed || matches!(body.length, Length::WrongHint(_)) {
        return;
    }
    // If a length in a header cuts the body, then so that less is left.
    let read = body.total() - left + item.len();
    let cuts = *item == Item::End || body.known_length() != Some(body.total());
    if plan.may_be_cut(read) && !body.is_exact() && cuts {
        return;
    }
    let is_true = hint.lower() <= left && hint.upper().is_none_or(|upper| upper >= left);
    assert!(is_true, "{hint:?} with {left} left before {item:?}");
    if body.is_exact() {
        assert_eq!(hint.exact(), Some(left), "the exact hint: {hint:?}");
    }
}

pub(super) fn are_those_of_the_inner_body(plan: &Plan, run: &Run) {
    let (facts, view) = (&run.record.facts, &run.view);
    let answered = run.record.answered;
    let held = plan.hook.is_some() || answered.is_some_and(|answered| answered.facts.alive > 0);
    if view.head_failed || (plan.has_no_body() && held && plan.holds()) {
        // No server sends it: it may have been dropped, because a task may wait for that.
        return;
    }
    let inner = run.record.yielded.iter().map(|(_, item)| item);
    let inner: Vec<_> = inner.filter(|item| **item != Item::End).collect();
    let outer = view.items.iter().map(|read| &read.item);
    let is_of_the_body = |item: &&Item| !matches!(item, Item::End | Item::Failed);
    let outer: Vec<_> = outer.filter(is_of_the_body).collect();
    let is_server = plan.client == Client::ReadsAsServer;
    let may_wait = facts.spawned > 0 || plan.tracker_task.is_some() || plan.hook.is_some();
    if !view.finished || view.body_failed() || is_server || !plan.is_read() {
        assert!(inner.starts_with(&outer), "frames out of order");
    } else if may_wait && plan.may_be_cut(view.bytes()) {
        assert!(inner.starts_with(&outer), "frames out of order");
        let rest = &inner[outer.len()..];
        let is_error = |item: &&Item| **item == Item::Error;
        assert!(rest.iter().all(is_error), "frames were lost: {rest:?}");
    } else {
        assert_eq!(inner, outer, "a frame was lost or made up");
        let planned = match plan.body.ending {
            Ending::EndMark => Item::End,
            Ending::Trailers => Item::Trailers,
            Ending::Error => Item::Error,
        };
        let ending = view.items.last().map(|read| &read.item);
        assert!(
            view.failed || ending == Some(&planned),
            "the end: {ending:?}"
        );
    }
}

pub(super) fn claim_no_success_for_failed_work(plan: &Plan, run: &Run) {
    let (view, report) = (&run.view, run.calls.report());
    let required_failed = report.is_some_and(|report| report.required_failed);
    if view.head_failed || view.body_failed() {
        assert!(required_failed, "nothing has failed: {report:?}");
        return;
    }
    let is_error = view.items.iter().any(|read| read.item == Item::Error);
    if !view.finished || view.failed || is_error || !plan.holds() {
        return;
    }
    let last = view.items.last().map(|read| read.seen).or(view.head);
    // Nothing depends on what was spawned after the release.
    let is_missing =
        run.calls.late_spawns == 0 && last.is_some_and(|seen| seen.facts.is_required_missing());
    let is_claimed = if plan.hold == Hold::Required {
        // The response does not depend on what comes after it, which a slow client may see.
        let had_failed = last.is_some_and(|seen| seen.facts.required_failed);
        plan.is_punctual() && (is_missing || had_failed)
    } else {
        is_missing || required_failed
    };
    assert!(!is_claimed, "a success is claimed: {report:?}");
}

pub(super) fn stay_at_their_end(run: &Run) {
    let past_end = &run.view.past_end;
    let stays = past_end.iter().all(|read| *read == (Item::End, true));
    assert!(stays, "past the end: {past_end:?}");
}
