//! Instances that are frozen when they request the next event, and thawed for it.

use std::time::Duration;

use crate::event::Event;
use crate::form::Form;
use crate::instance::Instance;

const EVENTS: u32 = 10;

const WORK: Duration = Duration::from_millis(100);

async fn leaves_nothing_undone(form: Form) {
    let mut instance = Instance::start(form).await.expect("it starts");
    let mut next = instance.next_request().await;
    for id in 0..EVENTS {
        instance.freeze().await;
        instance.thaw();
        next.hand_over(Event::order(id, WORK));
        drop(instance.answer().await);
        next = instance.next_request().await;
        instance.freeze().await;
        assert!(instance.is_written(id), "order {id} is done at the freeze");
        instance.thaw();
    }
    instance.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_its_answers_is_frozen_with_nothing_left_to_do() {
    leaves_nothing_undone(Form::Held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_posts_at_once_is_frozen_with_nothing_left_to_do() {
    leaves_nothing_undone(Form::Posted).await;
}

/// AWS describes this: unfinished work resumes when the instance is used again.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_plain_spawn_leaves_runs_on_in_a_later_invocation() {
    let mut instance = Instance::start(Form::Untracked).await.expect("it starts");
    drop(instance.serve(Event::order(1, 10 * WORK)).await);
    let next = instance.next_request().await;
    instance.freeze().await;
    assert!(!instance.is_written(1), "it was frozen in the middle of it");

    instance.thaw();
    next.hand_over(Event::order(2, 200 * WORK));
    drop(instance.answer().await);
    instance.line_with("order 1 is written").await;
    assert!(!instance.is_written(2), "it was done in the second's time");
}
