//! Whole requests, of the model in `tests/requests`.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use tower_task_tracker_requests::{Plan, play};

use crate::cases::check;

/// Plans whose fields, tasks and steps of a body shrink one by one: a task or a step is left out, or a choice is
/// replaced by a plainer one.
fn plans() -> impl Strategy<Value = Plan> {
    let bytes = |count| vec(any::<u8>(), count);
    (bytes(44), vec(bytes(24), 0..=3), vec(bytes(24), 0..=6))
        .prop_map(|(fields, tasks, steps)| Plan::from_parts(&fields, &tasks, &steps))
}

/// It takes seconds.
#[test]
fn whatever_a_request_does_the_guarantees_hold() {
    check(20_000, &plans(), |plan| {
        play(&plan);
        Ok(())
    });
}
