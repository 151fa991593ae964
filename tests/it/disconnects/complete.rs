//! A response that the server has whole is complete: its drop is no disconnect.

use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Outcome, TaskTrackerLayer, Unfinished, named};

use super::layer;
use crate::support::{Frames, Log, after, observed, request, respond};

#[tokio::test(start_paused = true)]
async fn a_body_that_gave_its_last_frame_is_complete() {
    let bodies: [fn() -> Frames; 2] = [
        || Frames::new(["a", "b"]).shows_its_end(),
        || Frames::new(["a", "b"]).always_hints(2),
    ];
    for body in bodies {
        let log = Log::default();
        let layer = layer(&log, Unfinished::Abort);
        let service = layer.layer(service_fn(move |_: Request<()>| async move {
            named("quick").spawn(after(2));
            Ok::<_, Infallible>(Response::new(body()))
        }));
        let Ok(answer) = service.oneshot(request()).await;
        let mut body = answer.into_body();
        for _ in 0..2 {
            assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
            after(5).await;
        }
        drop(body);
        assert_eq!(log.report().outcome, Outcome::Drained);
    }
}

/// "A body handed its last frame is complete": its client has not left.
#[tokio::test(start_paused = true)]
async fn what_a_complete_body_spawns_at_its_drop_is_no_disconnect() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .at_disconnect(Unfinished::Abort)
        .observer(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        let body = Frames::new(["a", "b"]).always_hints(2).spawns_at_drop(50);
        Ok::<_, Infallible>(Response::new(body))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    let mut body = answer.into_body();
    for _ in 0..2 {
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    }
    drop(body);
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_ne!(report.outcome, Outcome::Dropped, "{report}");
    assert_eq!(report.aborted, 0, "{report}");
}

/// No client is to get it, and the server drops it: that is its end.
#[tokio::test(start_paused = true)]
async fn what_an_unsent_stream_spawns_when_it_is_dropped_is_no_disconnect() {
    let (log, layer) = observed();
    let layer = layer.at_disconnect(Unfinished::Abort);
    let body = || Frames::new(["a"]).spawns_at_drop(20);
    let answer = respond(&layer, http::Method::HEAD, body).await;
    drop(answer);
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_eq!(
        (report.outcome, report.completed),
        (Outcome::Drained, 1),
        "{report}"
    );
}
