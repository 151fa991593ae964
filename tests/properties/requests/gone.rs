//! Checks when the body is dropped. If a server would not poll it again, it is dropped before the first look of a wait.

use proptest::prelude::*;
use tokio::time::Instant;

use super::check::{has_no_body, initial_hint, length_header};
use super::plan::{Client, Ending, Plan, Step};
use super::run::{Run, Seen};
use super::world::Item;

type Checked = Result<(), TestCaseError>;

/// The head was seen, and was held if that is later than the answer.
pub(super) fn before_the_head(plan: &Plan, head: Seen, answered: Instant) -> Checked {
    if head.at > answered && is_gone_at_the_head(plan) {
        is_gone(head, answered)?;
    }
    Ok(())
}

/// An item was seen that ends the response, and was held if that is later than it was ready.
pub(super) fn before_an_end(
    plan: &Plan,
    seen: Seen,
    ready: Instant,
    index: usize,
    item: &Item,
) -> Checked {
    let must_be_gone = match item {
        Item::Data(_) => is_gone_behind(plan, steps_after(plan, index)),
        // It stands in the place of another one.
        Item::Failed => false,
        Item::Trailers | Item::Error | Item::End => true,
    };
    if seen.at > ready && must_be_gone {
        is_gone(seen, ready)?;
    }
    Ok(())
}

fn is_gone(seen: Seen, since: Instant) -> Checked {
    let is_gone = seen.body_gone.is_some_and(|gone| gone <= since);
    prop_assert!(is_gone, "the body was kept for nothing: {:?}", seen);
    Ok(())
}

/// Whether a frame behind the length may be missing, if the response may have had to wait: an HTTP/1 server does
/// not ask for it.
pub(super) fn may_be_cut(plan: &Plan, run: &Run, may_wait: bool) -> bool {
    let bytes = |(_, item): &(Seen, Item)| match item {
        Item::Data(data) => data.len() as u64,
        _ => 0,
    };
    let read: u64 = run.items.iter().map(bytes).sum();
    let length = initial_hint(plan).or(length_header(plan));
    let is_server = plan.client == Client::IsServer;
    plan.is_http1() && !is_server && may_wait && length.is_some_and(|length| read >= length)
}

fn is_gone_at_the_head(plan: &Plan) -> bool {
    let steps = &plan.body.steps[..];
    if has_no_body(plan) || says_end(plan, steps) {
        return true;
    }
    if length_header(plan) == Some(0) {
        return is_gone_behind(plan, steps);
    }
    match initial_hint(plan) {
        Some(0) => is_gone_behind(plan, steps),
        Some(length) => is_gone_within(plan, steps, length),
        None => false,
    }
}

/// Whether the body is gone once it was asked for its first frame.
fn is_gone_within(plan: &Plan, steps: &[Step], length: u64) -> bool {
    match steps {
        [] => true,
        [Step::Wait(_), ..] => false,
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
        [Step::Wait(_), ..] => plan.is_http1(),
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
