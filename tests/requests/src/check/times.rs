//! Checks when each part of a response reaches the client.

use tower_task_tracker::Hold;

use super::dropped;
use super::ends::is_end;
use crate::plan::{Client, Plan};
use crate::run::{Read, Run};
use crate::world::{Item, Moment};

pub(super) fn of_the_head(plan: &Plan, run: &Run, head: Moment, answered: Moment) {
    if plan.is_upgraded() {
        let hooked = run.record.facts.hooked;
        assert!(hooked.is_none(), "nothing is awaited for an upgrade");
    } else {
        dropped::before_the_head(plan, head, answered.at);
    }
    let facts = answered.facts;
    let holds_nothing = match plan.hold {
        Hold::Required => facts.required_alive == 0,
        _ => facts.alive == 0 && plan.hook.is_none(),
    };
    let is_held_whole = matches!(plan.hold, Hold::Required | Hold::Head)
        || run.view.failed
        || plan.ends_with_head()
        || facts.required_failed;
    if !plan.holds() || holds_nothing {
        assert_eq!(head.at, answered.at, "the head was held for nothing");
    } else if is_held_whole {
        is_end(plan, run, head, answered.at);
    } else if plan.hold == Hold::Auto && facts.required_alive > 0 {
        // After the required tasks a stream may go on.
        if head.facts.no_required_since != Some(head.at) {
            is_end(plan, run, head, answered.at);
        }
    } else if plan.hold == Hold::End || plan.body.initial_hint().is_none() {
        assert_eq!(head.at, answered.at, "the head of a stream was held");
    } else if head.at != answered.at {
        is_end(plan, run, head, answered.at);
    }
}

/// The moment at which a server has sent everything.
pub(super) fn of_a_servers_end(plan: &Plan, run: &Run, head: Moment, answered: Moment) {
    if plan.client != Client::ReadsAsServer || !run.view.finished || !plan.holds() {
        return;
    }
    let last = run.view.items.last().map(|read| read.seen);
    let yielded = run.record.yielded.last().filter(|_| last.is_some());
    let ready = yielded.map_or(answered.at, |(at, _)| *at).max(head.at);
    is_end(plan, run, last.unwrap_or(head), ready);
}

pub(super) fn of_each_frame(plan: &Plan, run: &Run, head: Moment) {
    let yielded = &run.record.yielded;
    let mut left = plan.body.known_length();
    let mut before = head.at;
    for (index, Read { seen, item, .. }) in run.view.items.iter().enumerate() {
        // An end that the inner body foretold was ready with the item before.
        let inner = yielded.get(index).or(yielded.last());
        // The item may have been taken ahead of its time.
        let ready = inner.map_or(before, |(at, _)| (*at).max(before));
        before = seen.at;
        if !plan.holds() || !ends(item, &mut left) {
            if plan.is_punctual() && index < yielded.len() {
                assert_eq!(seen.at, ready, "item {index} was held for nothing");
            }
        } else if plan.is_punctual() || (seen.facts.alive > 0 && plan.hold != Hold::Required) {
            is_end(plan, run, *seen, ready);
            if plan.is_punctual() {
                dropped::before_an_end(plan, *seen, ready, index, item);
            }
        }
    }
}

/// Whether a server ends the response with this item. It subtracts the item from the length that is left.
fn ends(item: &Item, left: &mut Option<u64>) -> bool {
    let Item::Data(data) = item else {
        return true;
    };
    let (Some(bytes), false) = (*left, data.is_empty()) else {
        return false;
    };
    *left = bytes.checked_sub(item.len()).filter(|rest| *rest > 0);
    left.is_none()
}
