//! `Tasks` as an argument of an axum handler, with the layer and without it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{DrainReport, MissingTaskTracker, TaskTrackerLayer, Tasks};

use crate::subscribers::lines::Lines;
use crate::support::{Log, after, ms};

fn to(path: &str) -> Request {
    Request::builder()
        .uri(path)
        .body(Body::empty())
        .expect("a valid request")
}

#[tokio::test(start_paused = true)]
async fn a_handler_takes_its_tasks_as_an_argument() {
    let app = Router::new()
        .route(
            "/",
            get(|tasks: Tasks| async move {
                tasks.named("audit").spawn(after(80));
                "hello"
            }),
        )
        .layer(TaskTrackerLayer::new().report_extension(true));
    let start = Instant::now();
    let response = app.oneshot(to("/")).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(80));
    let report = response.extensions().get::<Arc<DrainReport>>();
    assert_eq!(report.map(|report| report.completed), Some(1));
    let body = response.into_body().collect().await.expect("a whole body");
    assert_eq!(body.to_bytes(), "hello");
}

/// One test, because the log has at most one line a second for the whole process.
#[tokio::test]
async fn without_the_layer_the_answer_and_the_log_have_the_line_that_adds_it() {
    let lines = Lines::default();
    let _recording = lines.record();
    let started = std::time::Instant::now();
    let missing = Router::new().route("/orders", get(|_: Tasks| async { "unreachable" }));
    let too_far_in = Router::new()
        .route("/orders", get(|| async { "unreachable" }))
        .layer(TaskTrackerLayer::new())
        .layer(from_fn(async |_: Tasks, request: Request, next: Next| {
            next.run(request).await
        }));
    for app in [&missing, &too_far_in] {
        for _ in 0..10 {
            let response = app
                .clone()
                .oneshot(to("/orders?card=4711"))
                .await
                .expect("infallible");
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = response.into_body().collect().await.expect("a whole body");
            let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            assert!(text.contains(".layer(TaskTrackerLayer::new())"), "{text}");
            assert!(text.contains("`from_fn`"), "the other cause: {text}");
        }
    }
    // A test that ran before may have caused this second's line.
    while lines.text().is_empty() {
        let waited = started.elapsed();
        assert!(waited < std::time::Duration::from_secs(10), "no line");
        drop(missing.clone().oneshot(to("/orders?card=4711")).await);
    }
    let log = lines.text();
    let (count, seconds) = (log.lines().count() as u64, started.elapsed().as_secs());
    assert!((1..=1 + seconds).contains(&count), "in {seconds} s: {log}");
    let line = log.lines().next().expect("one").trim_start();
    assert!(line.starts_with("ERROR tower_task_tracker: "), "{line}");
    assert!(line.contains(".layer(TaskTrackerLayer::new())"), "{line}");
    assert!(line.contains("`from_fn`"), "{line}");
    assert!(line.ends_with(r#" method=GET path="/orders""#), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_middleware_inside_of_the_layer_takes_its_tasks() {
    let app = Router::new()
        .route("/", get(|| async {}))
        .layer(from_fn(
            async |tasks: Tasks, request: Request, next: Next| {
                tasks.spawn(after(30));
                next.run(request).await
            },
        ))
        .layer(TaskTrackerLayer::new());
    let start = Instant::now();
    let response = app.oneshot(to("/")).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(start.elapsed(), ms(30));
}

#[tokio::test]
async fn a_handler_that_does_without_the_layer_logs_no_error() {
    let lines = Lines::default();
    let _recording = lines.record();
    let handler = async |tasks: Result<Tasks, MissingTaskTracker>| tasks.is_ok().to_string();
    let app = Router::new().route("/", get(handler));
    let response = app.oneshot(to("/")).await.expect("infallible");
    let body = response.into_body().collect().await.expect("a whole body");
    assert_eq!(body.to_bytes(), "false");
    assert_eq!(lines.text(), "");
}

#[tokio::test]
async fn without_the_layer_the_optional_tasks_are_none() {
    let handler = |tasks: Option<Tasks>| async move { tasks.is_some().to_string() };
    let bare = Router::new().route("/", get(handler));
    let layered = bare.clone().layer(TaskTrackerLayer::new());
    for (app, expected) in [(bare, "false"), (layered, "true")] {
        let response = app.oneshot(to("/")).await.expect("infallible");
        let body = response.into_body().collect().await.expect("a whole body");
        assert_eq!(body.to_bytes(), expected, "inside of the layer: {expected}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_extension_the_context_is_taken() {
    let app = Router::new()
        .route(
            "/",
            get(|tasks: Tasks| async move {
                tasks.spawn(after(15));
            }),
        )
        .layer(axum::middleware::map_request(
            |mut request: Request| async {
                request.extensions_mut().clear();
                request
            },
        ))
        .layer(TaskTrackerLayer::new());
    let start = Instant::now();
    let response = app.oneshot(to("/")).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(start.elapsed(), ms(15));
}

#[tokio::test(start_paused = true)]
async fn a_route_has_its_own_layer_under_the_routers() {
    let log = Log::default();
    let base = TaskTrackerLayer::new().observer(log.clone());
    let slow = |tasks: Tasks| async move {
        tasks.spawn(after(5000));
    };
    let app = Router::new()
        .route(
            "/short",
            get(slow).layer(base.clone().drain_timeout(ms(10))),
        )
        .route("/long", get(slow))
        .layer(base);
    for (path, expected) in [("/short", 10), ("/long", 5000)] {
        let start = Instant::now();
        let response = app.clone().oneshot(to(path)).await.expect("infallible");
        assert_eq!(start.elapsed(), ms(expected), "{path}");
        drop(response);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejected_request_and_an_unknown_route_pass() {
    let app = Router::new()
        .route("/{id}", get(|_: axum::extract::Path<u32>| async {}))
        .layer(TaskTrackerLayer::new());
    let response = app.clone().oneshot(to("/text")).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let response = app.oneshot(to("/un/known")).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}
