//! The deadline of an invocation, less a margin, limits the wait.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::answer::Kind;
use crate::event::{Event, IN_1970, millis, millis_from_now};
use crate::form::Form;
use crate::instance::Instance;

/// The time from the delivery of an event to its deadline. The margin is half a second of it.
const LEFT: Duration = Duration::from_secs(3);

/// Work that takes longer than any invocation.
const ENDLESS: Duration = Duration::from_secs(600);

/// The least duration of the wait: [`LEFT`] less the margin, and less half a second for what comes before the wait.
const WAIT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_bounds_what_a_held_answer_waits() {
    let mut instance = Instance::start(Form::Held).await.expect("it starts");
    let next = instance.next_request().await;
    let start = Instant::now();
    next.hand_over(Event::order(1, ENDLESS).with_deadline(millis_from_now(LEFT)));
    let answer = instance.answer().await;
    let took = answer.at - start;
    assert!(WAIT < took && took < LEFT, "it was answered after {took:?}");
    // Unfinished work is not answered with a success.
    assert_eq!(answer.http().0, 500, "{answer:?}");
    drop(answer);
    let took = instance.next_request().await.at - start;
    assert!(took < LEFT, "it requested the next event after {took:?}");
    let report = instance.line_with("tasks completed").await;
    assert!(
        report.contains("deadline exceeded (lambda): 0 of 1"),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_bounds_what_comes_after_a_posted_answer() {
    let mut instance = Instance::start(Form::Posted).await.expect("it starts");
    let next = instance.next_request().await;
    let start = Instant::now();
    next.hand_over(Event::order(1, ENDLESS).with_deadline(millis_from_now(LEFT)));
    let answer = instance.answer().await;
    assert_eq!(answer.http().0, 201, "{answer:?}");
    let answered = answer.at;
    drop(answer);
    let next = instance.next_request().await.at;
    let (waited, took) = (next - answered, next - start);
    assert!(WAIT < waited, "it waited for {waited:?} after its answer");
    assert!(took < LEFT, "it requested the next event after {took:?}");
    let report = instance.line_with("tasks completed").await;
    assert!(
        report.contains("deadline exceeded (lambda): 0 of 1"),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_not_done_by_its_deadline_fails() {
    let mut instance = Instance::start(Form::Queue).await.expect("it starts");
    let next = instance.next_request().await;
    let start = Instant::now();
    let order = json!({ "id": 1, "takes": millis(ENDLESS) });
    next.hand_over(Event::batch(1, &[order]).with_deadline(millis_from_now(LEFT)));
    let answer = instance.answer().await;
    let took = answer.at - start;
    assert!(WAIT < took && took < LEFT, "it was answered after {took:?}");
    assert_eq!(answer.kind, Kind::Error, "{answer:?}");
    let text = answer.text();
    assert!(text.contains("deadline exceeded (lambda)"), "{text}");
}

/// The work completes, so the deadline in 1970 was not used.
async fn ignores_a_deadline_in_1970(form: Form) {
    let mut instance = Instance::start(form).await.expect("it starts");
    let event = Event::order(1, WAIT).with_deadline(IN_1970);
    drop(instance.serve(event).await);
    let _next = instance.next_request().await;
    assert!(instance.is_written(1), "it was waited for");
    let report = instance.line_with("tasks completed").await;
    assert!(report.contains("drained: 1 of 1"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_answer_ignores_an_emulators_deadline_in_1970() {
    ignores_a_deadline_in_1970(Form::Held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posted_answer_ignores_an_emulators_deadline_in_1970() {
    ignores_a_deadline_in_1970(Form::Posted).await;
}
