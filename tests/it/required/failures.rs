//! The head of a response fails with a required task; which status it has.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainReport, Hold, Outcome as Drained, ResponseBody, TaskTrackerLayer, named,
};

use super::{FAILURE, Outcome, required};
use crate::support::{Frames, Log, after, ms, observed, request, tracked};

type Answer = Response<ResponseBody<Full<Bytes>>>;

/// The answer to a request that runs `start`, and how long it took.
async fn answer(
    layer: &TaskTrackerLayer,
    start: impl Fn() + Clone + Send + 'static,
) -> (Answer, Duration) {
    let arrived = Instant::now();
    let answer = tracked(layer, start).oneshot(request()).await;
    let Ok(answer) = answer;
    (answer, arrived.elapsed())
}

async fn read(answer: Answer) -> Bytes {
    let body = answer.into_body().collect().await;
    body.expect("the body is whole").to_bytes()
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_succeeds_changes_nothing() {
    let (answer, took) = answer(&TaskTrackerLayer::new(), || {
        required(20, Ok(()));
    })
    .await;
    assert_eq!(took, ms(20));
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(read(answer).await, "done");
}

#[tokio::test(start_paused = true)]
async fn err_panic_abort_and_lateness_of_a_required_task_fail_the_response() {
    type Start = fn();
    let ways: [(&str, Start); 4] = [
        ("an Err", || drop(required(20, FAILURE))),
        ("a panic", || {
            named("order")
                .required()
                .spawn(poll_fn(|_| -> Poll<Outcome> {
                    // Past the panic hook, which would print it.
                    std::panic::resume_unwind(Box::new("planned"))
                }));
        }),
        ("an abort", || required(20, Ok(())).abort()),
        ("lateness", || drop(required(60_000, Ok(())))),
    ];
    for (way, start) in ways {
        let (log, layer) = observed();
        let layer = layer.report_extension(true);
        let (answer, _) = answer(&layer, start).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "{way}");
        assert!(answer.body().is_end_stream(), "{way}: nothing is to come");
        assert_eq!(answer.body().size_hint().exact(), Some(0), "{way}");
        let head = answer.extensions().get::<Arc<DrainReport>>();
        assert!(head.is_some_and(|report| report.required_failed), "{way}");
        assert_eq!(read(answer).await, "");
        let report = log.report();
        assert!(report.required_failed, "{way}: {report}");
        assert!(report.to_string().contains("a required task has failed"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_layer_chooses_the_status_of_a_failure() {
    let layer = TaskTrackerLayer::new()
        .failure_status(StatusCode::BAD_GATEWAY)
        .deadline_status(StatusCode::GATEWAY_TIMEOUT)
        .drain_timeout(ms(100));
    let (failed, _) = answer(&layer, || drop(required(20, FAILURE))).await;
    assert_eq!(failed.status(), StatusCode::BAD_GATEWAY);
    let (late, took) = answer(&layer, || drop(required(500, Ok(())))).await;
    assert_eq!(took, ms(100));
    assert_eq!(
        late.status(),
        StatusCode::BAD_GATEWAY,
        "it may be set to a success, which a late required task is not"
    );
}

#[tokio::test(start_paused = true)]
async fn what_has_failed_before_the_handler_answers_fails_the_response_in_every_mode() {
    for hold in [Hold::Auto, Hold::Head, Hold::End, Hold::Never] {
        let layer = TaskTrackerLayer::new().hold(hold);
        let service = layer.layer(service_fn(|_: Request<()>| async {
            let _ = required(0, FAILURE).await;
            Ok::<_, Infallible>(Response::new(Frames::new(["a", "b"])))
        }));
        let Ok(answer) = service.oneshot(request()).await;
        assert_eq!(
            answer.status(),
            StatusCode::INTERNAL_SERVER_ERROR,
            "{hold:?}"
        );
        assert!(answer.body().is_end_stream());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_its_head_held_while_a_required_task_is_alive() {
    let arrived = Instant::now();
    let service = TaskTrackerLayer::new().layer(service_fn(|_: Request<()>| async {
        required(20, FAILURE);
        Ok::<_, Infallible>(Response::new(Frames::new(["a", "b"])))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    assert_eq!(arrived.elapsed(), ms(20));
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_service_is_passed_on_as_it_is() {
    let (log, layer) = observed();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        required(20, FAILURE);
        Err::<Response<Full<Bytes>>, _>("broken")
    }));
    let answer = service.oneshot(request()).await;
    assert_eq!(answer.map(drop), Err("broken"));
    assert!(log.report().required_failed);
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_failed_head_is_dropped_in_its_request_and_what_that_spawns_is_waited_for() {
    let (log, layer) = observed();
    let arrived = Instant::now();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        required(20, FAILURE);
        Ok::<_, Infallible>(Response::new(Frames::new(["a"]).spawns_at_drop(30)))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    assert_eq!(arrived.elapsed(), ms(50));
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(log.report().spawned, 2);
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_may_have_a_status_of_its_own() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .deadline_status(StatusCode::GATEWAY_TIMEOUT)
        .observer(log.clone());
    let (late, _) = answer(&layer, || drop(named("slow").spawn(after(500)))).await;
    assert_eq!(late.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(read(late).await, "");
    assert_eq!(log.report().outcome, Drained::DeadlineExceeded);
    let (drained, _) = answer(&layer, || drop(named("quick").spawn(after(50)))).await;
    assert_eq!(drained.status(), StatusCode::OK);
    let aborting = layer.at_deadline(tower_task_tracker::Unfinished::Abort);
    let (aborted, _) = answer(&aborting, || drop(named("slow").spawn(after(500)))).await;
    assert_eq!(aborted.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn without_a_status_for_it_a_late_response_is_the_handlers() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(100));
    let (late, _) = answer(&layer, || drop(named("slow").spawn(after(500)))).await;
    assert_eq!(late.status(), StatusCode::OK);
    assert_eq!(read(late).await, "done");
}

#[tokio::test(start_paused = true)]
async fn a_required_token_fails_the_response_if_it_is_late() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(100));
    let (give, taken) = tokio::sync::mpsc::unbounded_channel();
    let (late, _) = answer(&layer, move || {
        let _ = give.send(named("thread").required().token());
    })
    .await;
    assert_eq!(late.status(), StatusCode::INTERNAL_SERVER_ERROR);
    drop(taken);
}

#[tokio::test(start_paused = true)]
async fn of_required_and_detached_the_last_call_wins() {
    let (log, layer) = observed();
    let (answer, took) = answer(&layer, || {
        let failing = async {
            after(20).await;
            FAILURE
        };
        named("order").detached().required().spawn(failing);
    })
    .await;
    assert_eq!(took, ms(20), "it is waited for");
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let report = log.report();
    assert!(report.required_failed, "{report}");
    assert_eq!((report.failed, report.failures[0].required), (1, true));
    assert!(log.late_ends().is_empty(), "the report has it");
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_fails_nothing() {
    let (log, layer) = observed();
    let (answer, took) = answer(&layer, || {
        let failing = async {
            after(20).await;
            FAILURE
        };
        named("order").required().detached().spawn(failing);
    })
    .await;
    assert_eq!((took, answer.status()), (ms(0), StatusCode::OK));
    assert_eq!(read(answer).await, "done");
    assert_eq!(layer.handle().live_tasks(), 1);
    layer.handle().wait_idle().await;
    assert_eq!(log.late_ends().len(), 1);
    assert!(!log.late_ends()[0].required, "it was detached after that");
    assert!(log.report().is_clean(), "no report counts it");
}
