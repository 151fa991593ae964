//! The proof: instances that are frozen when they request the next event, and killed while they are frozen.

use std::fmt;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::answer::Kind;
use crate::event::{Event, millis};
use crate::form::Form;
use crate::instance::Instance;

/// The number of instances of a proof. Each serves one event before it is frozen and killed.
const INSTANCES: u32 = 200;

/// The number of instances that run at once.
const AT_ONCE: usize = 8;

/// The duration of the work of an order: many times the time from an answer to the freeze.
const WORK: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct Tally {
    acknowledged: u32,
    /// The number of acknowledged orders whose work was not done at the last byte of the answer.
    answered_before: u32,
    /// The number of acknowledged orders whose work was not done after the end of the instance.
    lost: u32,
}

async fn tally(form: Form) -> Tally {
    let mut tally = Tally::default();
    let mut lives = JoinSet::new();
    for id in 0..INSTANCES {
        if lives.len() == AT_ONCE {
            tally.add(lives.join_next().await);
        }
        lives.spawn(live_once(form, id));
    }
    while let Some(life) = lives.join_next().await {
        tally.add(Some(life));
    }
    println!("{form:?}: {tally}");
    assert_eq!(tally.acknowledged, INSTANCES, "{form:?}: {tally}");
    tally
}

/// The fate of an order: whether its work was done when it was answered, and at the end of the instance.
struct Life {
    done_at_answer: bool,
    done: bool,
}

async fn live_once(form: Form, id: u32) -> Life {
    let mut instance = Instance::start(form).await.expect("it starts");
    let event = match form {
        Form::Queue => Event::batch(id, &[json!({ "id": id, "takes": millis(WORK) })]),
        // Long work, so that it is lost even if the freeze comes late.
        Form::Untracked => Event::order(id, 50 * WORK),
        // The answer must be read before the work is done, even on a busy machine.
        Form::Posted | Form::PostedStream => Event::order(id, 3 * WORK),
        _ => Event::order(id, WORK),
    };
    let answer = instance.serve(event).await;
    let done_at_answer = instance.is_written(id);
    // Only an acknowledged order can be lost.
    assert_eq!(answer.kind, Kind::Response, "{answer:?}");
    if form != Form::Queue {
        let created = (201, format!("order {id} is taken\n"));
        assert_eq!(answer.http(), created);
    }
    drop(answer);
    let _next = instance.next_request().await;
    instance.freeze().await;
    instance.kill().await;
    Life {
        done_at_answer,
        done: instance.is_written(id),
    }
}

impl Tally {
    fn add(&mut self, life: Option<Result<Life, tokio::task::JoinError>>) {
        let life = life.expect("there is one").expect("it does not panic");
        self.acknowledged += 1;
        self.answered_before += u32::from(!life.done_at_answer);
        self.lost += u32::from(!life.done);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            acknowledged,
            answered_before,
            lost,
        } = self;
        write!(
            f,
            "{acknowledged} acknowledged, {answered_before} of them before the work was done, {lost} lost"
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn held_answers_come_when_their_work_is_done_and_none_is_lost() {
    let tally = tally(Form::Held).await;
    assert_eq!((tally.answered_before, tally.lost), (0, 0), "{tally}");
}

#[tokio::test(flavor = "multi_thread")]
async fn held_streams_end_when_their_work_is_done_and_none_is_lost() {
    let tally = tally(Form::HeldStream).await;
    assert_eq!((tally.answered_before, tally.lost), (0, 0), "{tally}");
}

#[tokio::test(flavor = "multi_thread")]
async fn posted_answers_come_before_their_work_and_none_is_lost() {
    let tally = tally(Form::Posted).await;
    assert_eq!(tally.lost, 0, "{tally}");
    // An answer may come late if the machine is busy. Most do not.
    assert!(tally.answered_before > INSTANCES / 10 * 9, "{tally}");
}

#[tokio::test(flavor = "multi_thread")]
async fn posted_streams_end_before_their_work_and_none_is_lost() {
    let tally = tally(Form::PostedStream).await;
    assert_eq!(tally.lost, 0, "{tally}");
    assert!(tally.answered_before > INSTANCES / 10 * 9, "{tally}");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_acknowledged_when_their_work_is_done_and_none_is_lost() {
    let tally = tally(Form::Queue).await;
    assert_eq!((tally.answered_before, tally.lost), (0, 0), "{tally}");
}

/// The control. If it kept its work, the other tests would prove nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_spawn_loses_nearly_all_of_its_work() {
    let tally = tally(Form::Untracked).await;
    assert!(tally.lost >= INSTANCES / 10 * 9, "{tally}");
}
