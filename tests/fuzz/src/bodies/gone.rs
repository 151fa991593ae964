//! Checks when the body is dropped. If a server would not poll it again, it is dropped before the first look of a wait.

use tokio::time::Instant;

use super::item::Item;
use super::plan::Plan;
use super::script::{Ending, Step};
use super::view::Seen;

/// The head was seen, and was held if that is later than the answer.
pub(super) fn before_the_head(plan: &Plan, head: Seen, answered: Instant) {
    if head.at > answered && is_gone_at_the_head(plan) {
        assert_gone(head, answered);
    }
}

/// An item was seen that ends the response, and was held if that is later than it was ready.
pub(super) fn before_an_end(plan: &Plan, seen: Seen, ready: Instant, index: usize, item: &Item) {
    let must_be_gone = match item {
        Item::Data(_) => is_gone_behind(plan, steps_after(plan, index)),
        // It stands in the place of another one.
        Item::Failed => false,
        Item::Trailers | Item::Error | Item::End => true,
    };
    if seen.at > ready && must_be_gone {
        assert_gone(seen, ready);
    }
}

fn assert_gone(seen: Seen, since: Instant) {
    let is_gone = seen.body_gone.is_some_and(|gone| gone <= since);
    assert!(is_gone, "the body was kept for nothing: {seen:?}");
}

/// Whether a frame behind the length may be missing, with so many bytes read: an HTTP/1 server does not ask for
/// it.
pub(super) fn may_be_cut(plan: &Plan, read: u64) -> bool {
    let length = plan.body.known_length();
    plan.is_http1() && length.is_some_and(|length| read >= length)
}

fn is_gone_at_the_head(plan: &Plan) -> bool {
    let steps = &plan.body.steps[..];
    if plan.has_no_body() || says_end(plan, steps) {
        return true;
    }
    match (plan.body.initial_hint(), plan.body.known_length()) {
        (_, Some(0)) => is_gone_behind(plan, steps),
        (Some(length), _) => is_gone_within(plan, steps, length),
        (None, _) => false,
    }
}

/// Whether the body is gone once it was asked for its first frame.
fn is_gone_within(plan: &Plan, steps: &[Step], length: u64) -> bool {
    match steps {
        [] => true,
        [Step::Wait(_) | Step::Yield, ..] => false,
        [Step::Spawn(_), rest @ ..] => is_gone_within(plan, rest, length),
        [Step::Data(len), rest @ ..] if (*len as u64) < length => says_end(plan, rest),
        [Step::Data(_), rest @ ..] => says_end(plan, rest) || is_gone_behind(plan, rest),
    }
}

/// The same behind its length.
fn is_gone_behind(plan: &Plan, steps: &[Step]) -> bool {
    match steps {
        [] => true,
        // That of no time at all may be ready at once.
        [Step::Wait(0), rest @ ..] => plan.is_http1() && is_gone_behind(plan, rest),
        [Step::Wait(_) | Step::Yield, ..] => plan.is_http1(),
        [Step::Data(0) | Step::Spawn(_), rest @ ..] => is_gone_behind(plan, rest),
        [Step::Data(_), rest @ ..] => says_end(plan, rest),
    }
}

/// Whether the body says that it has ended, with these steps left.
fn says_end(plan: &Plan, steps: &[Step]) -> bool {
    plan.body.knows_its_end && steps.is_empty() && plan.body.ending == Ending::EndMark
}

/// The steps behind the data of this index.
fn steps_after(plan: &Plan, index: usize) -> &[Step] {
    let steps = &plan.body.steps;
    let data = steps.iter().enumerate();
    let mut data = data.filter(|(_, step)| matches!(step, Step::Data(_)));
    data.nth(index)
        .map_or(&[], |(place, _)| &steps[place + 1..])
}
