//! Streams, and bodies that start work while they stream.
//!
//! `lambda_runtime` moves a streamed body into a task of its own (`EventCompletionRequest::into_req`), and posts what
//! that task sends. So the body is polled outside the request of a `TaskScopeLayer` on the runtime. The answer counts
//! as posted when the runtime API has accepted all of it.

use std::time::Duration;

use crate::answer::Answer;
use crate::event::Event;
use crate::form::Form;
use crate::instance::Instance;

const ROWS: u32 = 3;

/// The duration of the work of a row: many times the time from the first row to the freeze.
const WORK: Duration = Duration::from_secs(1);

/// The result of a stream: its answer, and the number of rows whose work was done at the end of the answer and at the
/// request for the next event.
struct Export {
    answer: Answer,
    at_end: usize,
    at_next: usize,
}

async fn export(instance: &mut Instance, more: &str) -> Export {
    let takes = WORK.as_millis();
    let path = format!("/export?id=1&takes={takes}&rows={ROWS}{more}");
    let mut answer = instance.serve(Event::http(1, "GET", &path)).await;
    let rows = (200, "order 1\norder 2\norder 3\n".to_owned());
    assert_eq!(answer.http(), rows);
    let at_end = written(instance);
    answer.accept();
    let _next = instance.next_request().await;
    let at_next = written(instance);
    Export {
        answer,
        at_end,
        at_next,
    }
}

fn written(instance: &Instance) -> usize {
    (1..=ROWS).filter(|&id| instance.is_written(id)).count()
}

const ALL: usize = ROWS as usize;

#[tokio::test(flavor = "multi_thread")]
async fn a_held_stream_sends_its_data_at_once_and_ends_when_its_work_is_done() {
    let mut instance = Instance::start(Form::HeldStream).await.expect("it starts");
    let Export { answer, at_end, .. } = export(&mut instance, "").await;
    assert!(answer.streamed, "{answer:?}");
    assert_eq!(at_end, ALL, "the end was held for what the body spawned");
    // The last part with data, not the end.
    let (last, _) = answer.parts.last().expect("it has parts");
    let held = answer.at - *last;
    assert!(held > WORK / 2, "the end came {held:?} after the data");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posted_stream_ends_at_once_and_is_drained_after_its_end() {
    let mut instance = Instance::start(Form::PostedStream)
        .await
        .expect("it starts");
    let export = export(&mut instance, "&by_hand=true").await;
    assert!(export.answer.streamed, "{:?}", export.answer);
    assert_eq!(export.at_end, 0, "the client waited for none of it");
    assert_eq!(export.at_next, ALL, "the freeze did");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posted_stream_does_not_know_its_request_while_it_streams() {
    let mut instance = Instance::start(Form::PostedStream)
        .await
        .expect("it starts");
    let export = export(&mut instance, "").await;
    assert_eq!(export.at_next, 0, "no layer waited");
    let warning = instance.line_with("WARN").await;
    assert!(
        warning.contains("export.rs"),
        "it names the place: {warning}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posted_body_that_is_read_first_belongs_to_its_request() {
    let mut instance = Instance::start(Form::Posted).await.expect("it starts");
    let export = export(&mut instance, "").await;
    assert!(!export.answer.streamed, "{:?}", export.answer);
    assert_eq!(export.at_end, 0, "the client waited for none of it");
    assert_eq!(export.at_next, ALL, "the freeze did");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_body_that_is_read_first_waits_for_what_it_spawns() {
    let mut instance = Instance::start(Form::Held).await.expect("it starts");
    let Export { answer, at_end, .. } = export(&mut instance, "").await;
    assert!(!answer.streamed, "{answer:?}");
    assert_eq!(at_end, ALL);
}
