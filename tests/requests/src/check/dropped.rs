//! Checks when the inner body is dropped. If a server would not poll it again, it is dropped before the first look of a
//! wait.

use tokio::time::Instant;

use crate::plan::{Plan, Step};
use crate::world::{Item, Moment};

/// The head was seen, and was held if that is later than the answer.
pub(super) fn before_the_head(plan: &Plan, head: Moment, answered: Instant) {
    if head.at > answered && at_the_head(plan) {
        assert_dropped(head, answered);
    }
}

/// An item was seen that ends the response, and was held if that is later than it was ready.
pub(super) fn before_an_end(plan: &Plan, seen: Moment, ready: Instant, index: usize, item: &Item) {
    let must_be_dropped = match item {
        Item::Data(_) => past_length(plan, steps_after(plan, index)),
        // It is in the place of another item.
        Item::Failed => false,
        Item::Trailers | Item::Error | Item::End => true,
    };
    if seen.at > ready && must_be_dropped {
        assert_dropped(seen, ready);
    }
}

fn assert_dropped(seen: Moment, since: Instant) {
    let is_dropped = seen.facts.body_dropped.is_some_and(|at| at <= since);
    assert!(is_dropped, "the body was kept for nothing: {seen:?}");
}

fn at_the_head(plan: &Plan) -> bool {
    let body = &plan.body;
    if plan.has_no_body() || body.is_end_known(&body.steps) {
        return true;
    }
    match (body.initial_hint(), body.known_length()) {
        (_, Some(0)) => past_length(plan, &body.steps),
        (Some(length), _) => within_length(plan, &body.steps, length),
        (None, _) => false,
    }
}

/// Whether the body is dropped once it was polled for its first frame.
fn within_length(plan: &Plan, steps: &[Step], length: u64) -> bool {
    let is_end = |rest| plan.body.is_end_known(rest);
    match steps {
        [] => true,
        [Step::Wait(_) | Step::Yield, ..] => false,
        [Step::Spawn(_), rest @ ..] => within_length(plan, rest, length),
        [Step::Data(len), rest @ ..] if (*len as u64) < length => is_end(rest),
        [Step::Data(_), rest @ ..] => is_end(rest) || past_length(plan, rest),
    }
}

/// Whether the body is dropped once it was polled past its length.
fn past_length(plan: &Plan, steps: &[Step]) -> bool {
    match steps {
        [] => true,
        // A wait of no time may be ready at once.
        [Step::Wait(0), rest @ ..] => plan.is_http1() && past_length(plan, rest),
        [Step::Wait(_) | Step::Yield, ..] => plan.is_http1(),
        [Step::Data(0) | Step::Spawn(_), rest @ ..] => past_length(plan, rest),
        [Step::Data(_), rest @ ..] => plan.body.is_end_known(rest),
    }
}

/// The steps behind the data of this index.
fn steps_after(plan: &Plan, index: usize) -> &[Step] {
    let steps = &plan.body.steps;
    let data = steps.iter().enumerate();
    let mut data = data.filter(|(_, step)| matches!(step, Step::Data(_)));
    data.nth(index)
        .map_or(&[], |(place, _)| &steps[place + 1..])
}
