//! What a failure causes, form by form.

use std::time::Duration;

use serde_json::json;

use crate::answer::Kind;
use crate::event::{Event, request_id};
use crate::form::Form;
use crate::instance::Instance;

const WORK: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn a_held_answer_says_that_its_work_has_failed() {
    let mut instance = Instance::start(Form::Held).await.expect("it starts");
    let answer = instance
        .serve(Event::order_with(1, WORK, "&fails=true"))
        .await;
    assert_eq!(answer.kind, Kind::Response);
    assert_eq!(answer.http().0, 500, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posted_answer_does_not_say_that_its_work_has_failed_but_the_report_does() {
    let mut instance = Instance::start(Form::Posted).await.expect("it starts");
    let answer = instance
        .serve(Event::order_with(1, WORK, "&fails=true"))
        .await;
    assert_eq!(answer.kind, Kind::Response);
    assert_eq!(answer.http().0, 201, "{answer:?}");
    drop(answer);
    let report = instance.line_with("drained: 0 of 1").await;
    assert!(report.contains("a required task has failed"), "{report}");
    assert!(report.contains("order 1 has failed"), "{report}");
}

/// An export whose rows come, and whose body spawns work that fails.
const EXPORT: &str = "/export?id=1&takes=50&rows=1&fails=true";

/// Nothing has been sent yet, so the invocation can still fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_body_that_is_read_first_fails_with_the_work_it_spawned() {
    let mut instance = Instance::start(Form::Held).await.expect("it starts");
    let answer = instance.serve(Event::http(1, "GET", EXPORT)).await;
    assert_eq!(answer.kind, Kind::Error, "{answer:?}");
}

/// The head has been sent by then, and `lambda_runtime` 1.5 sends an error of the body as data. The trailers that
/// Lambda expects become text after the rows, and the stream ends like any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_stream_can_only_add_that_the_work_it_spawned_has_failed() {
    let mut instance = Instance::start(Form::HeldStream).await.expect("it starts");
    let answer = instance.serve(Event::http(1, "GET", EXPORT)).await;
    assert_eq!(answer.kind, Kind::Response, "{answer:?}");
    let (status, body) = answer.http();
    let error = body.strip_prefix("order 1\n").expect("the row comes first");
    assert_eq!(status, 200);
    assert!(
        error.starts_with("Lambda-Runtime-Function-Error-Type"),
        "{error}"
    );
    let report = instance.line_with("tasks completed").await;
    assert!(report.contains("a required task has failed"), "{report}");
}

/// `CatchPanicLayer` makes an answer of the handler's panic, inside the layer that waits.
async fn drains_after_a_panic(form: Form) {
    let mut instance = Instance::start(form).await.expect("it starts");
    let answer = instance
        .serve(Event::order_with(1, WORK, "&panics=true"))
        .await;
    assert_eq!(answer.kind, Kind::Response);
    assert_eq!(answer.http().0, 500, "{answer:?}");
    drop(answer);
    let _next = instance.next_request().await;
    assert!(instance.is_written(1), "what it had started was waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_answer_waits_for_what_a_panicking_handler_started() {
    drains_after_a_panic(Form::Held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_event_waits_for_what_a_panicking_handler_started_after_a_posted_answer() {
    drains_after_a_panic(Form::Posted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_fails_with_one_of_its_orders_and_the_next_one_is_taken() {
    let mut instance = Instance::start(Form::Queue).await.expect("it starts");
    let orders = [
        json!({ "id": 1, "takes": 50 }),
        json!({ "id": 2, "takes": 5, "fails": true }),
    ];
    let answer = instance.serve(Event::batch(1, &orders)).await;
    assert_eq!(
        (answer.kind, answer.id.clone()),
        (Kind::Error, request_id(1))
    );
    let text = answer.text();
    assert!(text.contains("a required task has failed"), "{text}");
    assert!(text.contains("order 2 has failed"), "{text}");
    assert!(instance.is_written(1), "a failure does not skip the others");
    drop(answer);

    let answer = instance
        .serve(Event::batch(3, &[json!({ "id": 3, "takes": 50 })]))
        .await;
    assert_eq!(
        (answer.kind, answer.id.clone()),
        (Kind::Response, request_id(3))
    );
    assert!(instance.is_written(3), "success is claimed when it is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_handler_panics_fails_when_what_it_started_is_done() {
    let mut instance = Instance::start(Form::Queue).await.expect("it starts");
    let orders = [json!({ "id": 1, "takes": 50, "panics": true })];
    let answer = instance.serve(Event::batch(1, &orders)).await;
    assert_eq!(answer.kind, Kind::Error);
    let text = answer.text();
    assert!(text.contains("order 1 makes the handler panic"), "{text}");
    assert!(instance.is_written(1), "what it had started was waited for");
}

/// `Runtime::run` returns the error of a layer on the runtime, and the process ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_out_of_a_runtimes_layer_comes_too_late_and_ends_the_process() {
    let mut instance = Instance::start(Form::Misplaced).await.expect("it starts");
    let order = json!({ "id": 1, "takes": 50, "fails": true });
    let answer = instance.serve(Event::new(1, order)).await;
    assert_eq!(
        answer.kind,
        Kind::Response,
        "success was claimed: {answer:?}"
    );
    drop(answer);
    let status = instance.exit_status().await;
    assert_eq!(status.code(), Some(1), "{status}");
    let error = instance.line_with("Error:").await;
    assert!(error.contains("order 1 has failed"), "{error}");
}
