//! Checks when each part of a response reaches the client.

use tower_task_tracker::Hold;

use super::super::gone;
use super::super::item::Item;
use super::super::plan::{Client, Plan};
use super::super::run::Run;
use super::super::view::Read;
use super::super::world::Answered;
use super::ends::{is_end, is_punctual};

pub(super) fn of_the_head(plan: &Plan, run: &Run) {
    let Some(head) = run.view.head else {
        return;
    };
    let answered = answered(run);
    assert!(
        !plan.is_upgraded() || run.facts.hooked.is_none(),
        "nothing is awaited for an upgrade"
    );
    let failed_before = answered.required_failed && !run.view.failed;
    let required = plan.hold == Hold::Auto && answered.required_alive;
    let holds_nothing = match plan.hold {
        Hold::Required => !answered.required_alive,
        _ => answered.alive == 0 && plan.hook.is_none(),
    };
    if !plan.is_upgraded() {
        gone::before_the_head(plan, head, answered.at);
    }
    if !plan.holds() || holds_nothing {
        assert_eq!(head.at, answered.at, "the head was held for nothing");
    } else if matches!(plan.hold, Hold::Required | Hold::Head)
        || run.view.failed
        || plan.ends_with_head()
        || failed_before
    {
        is_end(plan, run, head, answered.at);
    } else if required {
        // After those a stream may go on.
        if head.no_required_since != Some(head.at) {
            is_end(plan, run, head, answered.at);
        }
    } else if plan.hold == Hold::End || plan.body.initial_hint().is_none() {
        assert_eq!(head.at, answered.at, "the head of a stream was held");
    } else if head.at != answered.at {
        is_end(plan, run, head, answered.at);
    }
}

/// The moment at which a server has sent everything.
pub(super) fn of_a_servers_end(plan: &Plan, run: &Run) {
    let Some(head) = run.view.head else {
        return;
    };
    if plan.client != Client::IsServer || !run.view.finished || !plan.holds() {
        return;
    }
    let (last, given) = match run.view.items.last() {
        Some(read) => (read.seen, run.facts.given.last().map(|(at, _)| *at)),
        None => (head, None),
    };
    let ready = given.unwrap_or(answered(run).at).max(head.at);
    is_end(plan, run, last, ready);
}

pub(super) fn of_each_frame(plan: &Plan, run: &Run) {
    let Some(head) = run.view.head else {
        return;
    };
    let given = &run.facts.given;
    let mut left = plan.body.known_length();
    let mut before = head.at;
    for (index, Read { seen, item, .. }) in run.view.items.iter().enumerate() {
        // An end that the inner body foretold was ready with the item before.
        let given_item = given.get(index).or(given.last());
        // It may have been taken ahead of its time.
        let ready = given_item.map_or(before, |(at, _)| (*at).max(before));
        before = seen.at;
        if !plan.holds() || !ends(item, &mut left) {
            if is_punctual(plan) && index < given.len() {
                assert_eq!(seen.at, ready, "item {index} was held for nothing");
            }
        } else if is_punctual(plan) || (seen.alive > 0 && plan.hold != Hold::Required) {
            is_end(plan, run, *seen, ready);
            if is_punctual(plan) {
                gone::before_an_end(plan, *seen, ready, index, item);
            }
        }
    }
}

/// Whether a server ends the response with it. Counts it off the length that is left.
fn ends(item: &Item, left: &mut Option<u64>) -> bool {
    let Item::Data(data) = item else {
        return true;
    };
    let (Some(bytes), false) = (*left, data.is_empty()) else {
        return false;
    };
    let rest = bytes.checked_sub(item.len()).filter(|rest| *rest > 0);
    *left = rest;
    rest.is_none()
}

fn answered(run: &Run) -> Answered {
    run.facts.answered.expect("a head comes after an answer")
}
