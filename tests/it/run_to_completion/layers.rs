//! The layer beside other layers and services.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tower_task_tracker::{
    DrainReport, Outcome, RunToCompletionLayer, TaskScopeLayer, TaskTrackerLayer, Unfinished,
    named, spawn,
};

use super::{Steps, poll_and_leave};
use crate::subscribers::lines::Lines;
use crate::support::{Log, Slot, after, full, ms, observed, put, request, take};

#[tokio::test(start_paused = true)]
async fn a_timeout_between_the_layers_has_its_answer_held_for_the_handler() {
    let base = TaskTrackerLayer::new();
    // It is a deadline now, and no disconnect: of the window, from 100 ms on, the last tenth is for
    // destructors.
    let aborts = base.clone().at_deadline(Unfinished::Abort);
    for (layer, steps_taken, held, outcome) in [
        (base.drain_timeout(None), 2, 1000, Outcome::Drained),
        (
            aborts.drain_timeout(ms(500)),
            1,
            100 + 450,
            Outcome::DeadlineExceeded,
        ),
    ] {
        let (log, steps) = (Log::default(), Steps::default());
        let counted = steps.clone();
        let service = ServiceBuilder::new()
            .layer(layer.clone().observer(log.clone()))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::REQUEST_TIMEOUT,
                ms(100),
            ))
            .layer(RunToCompletionLayer::new())
            .service(service_fn(move |_: Request<()>| {
                let steps = counted.clone();
                async move {
                    steps.step();
                    after(1000).await;
                    steps.step();
                    Ok::<_, Infallible>(full("written"))
                }
            }));
        let start = Instant::now();
        let Ok(response) = service.oneshot(request()).await;
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT, "{layer:?}");
        assert_eq!(start.elapsed(), ms(held), "{layer:?}");
        assert_eq!(steps.taken(), steps_taken, "{layer:?}");
        assert_eq!(log.report().outcome, outcome, "{layer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn outside_of_the_tracker_s_layer_the_handler_and_its_hold_run_on_in_a_plain_spawn() {
    let lines = Lines::default();
    let _recording = lines.record();
    let (log, layer) = observed();
    let service = ServiceBuilder::new()
        .layer(RunToCompletionLayer::new())
        .layer(layer.clone())
        .service(service_fn(|_: Request<()>| async {
            after(10).await;
            spawn(after(20));
            Ok::<_, Infallible>(full("written"))
        }));
    let start = Instant::now();
    poll_and_leave(service.oneshot(request()));
    assert_eq!(
        layer.handle().live_tasks(),
        0,
        "the handler is no task of it"
    );
    assert_eq!(lines.count("outside a request"), 1);
    after(15).await;
    layer.handle().wait_idle().await;
    assert_eq!(start.elapsed(), ms(30));
    assert_eq!((log.report().completed, log.report().drain), (1, ms(20)));
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_handler_logs_in_the_span_of_its_request() {
    let lines = Lines::default();
    let _recording = lines.record();
    let layer = TaskTrackerLayer::new();
    let service = ServiceBuilder::new()
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(|_: &Request<Full<Bytes>>| tracing::info_span!("request", id = 7)),
        )
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(|_: Request<Full<Bytes>>| async {
            tracing::info!("the beginning");
            after(10).await;
            tracing::info!("the rest");
            spawn(async { tracing::info!("its task") });
            Ok::<_, Infallible>(full("written"))
        }));
    poll_and_leave(service.oneshot(Request::new(Full::default())));
    layer.handle().wait_idle().await;
    for part in ["the beginning", "the rest", "its task"] {
        let line = lines.with(part);
        assert!(line.contains("request{id=7}"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_it_calls_when_its_client_has_left_holds_for_itself() {
    for unfinished in [Unfinished::Continue, Unfinished::Cancel { grace: ms(1000) }] {
        let inner = TaskScopeLayer::new()
            .fail_with(|_: &DrainReport| "failed".to_owned())
            .layer(service_fn(|(): ()| async {
                named("write").required().spawn(async {
                    after(30).await;
                    Err::<(), _>("disk full")
                });
                Ok::<_, String>(())
            }));
        let answer = Slot::default();
        let out = answer.clone();
        let layer = TaskScopeLayer::new().at_disconnect(unfinished);
        let service = ServiceBuilder::new()
            .layer(layer.clone())
            .layer(RunToCompletionLayer::new())
            .service(service_fn(move |(): ()| {
                let (inner, out) = (inner.clone(), out.clone());
                async move {
                    after(100).await;
                    let answer = inner.oneshot(()).await;
                    put(&out, answer);
                    Ok::<_, Infallible>(())
                }
            }));
        poll_and_leave(service.oneshot(()));
        layer.handle().wait_idle().await;
        assert_eq!(take(&answer), Err("failed".to_owned()), "{unfinished:?}");
    }
}
