//! `Hold::Required`: responses wait for required tasks alone.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainReport, Hold, Outcome, ResponseBody, TaskTrackerLayer, Unfinished, named, spawn,
};

use crate::support::{Frames, Log, after, current, ms, request, respond};

/// A layer that holds for required tasks alone, and what it reports.
pub(crate) fn layer() -> (Log, TaskTrackerLayer) {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().hold(Hold::Required);
    (log.clone(), layer.observer(log))
}

/// Spawns a required task of 20 ms, and another one of 80 ms.
pub(crate) fn store_and_more(result: Result<(), &'static str>) {
    named("store").required().spawn(async move {
        after(20).await;
        result
    });
    named("more").spawn(after(80));
}

fn whole() -> Full<Bytes> {
    Full::new(Bytes::from_static(b"accepted"))
}

/// Reads it to its end, and waits for what is left of its tasks. When each of these was over.
pub(crate) async fn finish<B>(
    arrived: Instant,
    layer: &TaskTrackerLayer,
    response: Response<ResponseBody<B>>,
) -> [Duration; 3]
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let head = arrived.elapsed();
    let read = response.into_body().collect().await;
    assert!(read.is_ok(), "the body is whole");
    let end = arrived.elapsed();
    layer.handle().wait_idle().await;
    [head, end, arrived.elapsed()]
}

/// The rest is reported as under `Never`: when it is done, and as not held.
#[track_caller]
fn assert_rest_reported(log: &Log, held: Duration) {
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report}");
    assert_eq!((report.spawned, report.completed), (2, 2), "{report}");
    assert_eq!(report.held, held, "{report}");
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_whole_body_goes_as_soon_as_the_required_task_is_done() {
    let (log, layer) = layer();
    let arrived = Instant::now();
    let response = respond(&layer, Method::GET, || {
        store_and_more(Ok(()));
        whole()
    })
    .await;
    assert!(log.reports().is_empty(), "the rest is still to come");
    let times = finish(arrived, &layer, response).await;
    assert_eq!(times, [ms(20), ms(20), ms(80)]);
    assert_rest_reported(&log, ms(20));
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_stream_goes_then_too_and_its_end_is_not_held_for_the_rest() {
    let (log, layer) = layer();
    let arrived = Instant::now();
    let response = respond(&layer, Method::GET, || {
        store_and_more(Ok(()));
        Frames::new(["a", "b"])
    })
    .await;
    let times = finish(arrived, &layer, response).await;
    assert_eq!(times, [ms(20), ms(20), ms(80)]);
    assert_rest_reported(&log, ms(20));
}

#[tokio::test(start_paused = true)]
async fn no_body_and_the_answer_to_head_go_then_too() {
    for method in [Method::GET, Method::HEAD] {
        let (log, layer) = layer();
        let arrived = Instant::now();
        let response = respond(&layer, method.clone(), || {
            store_and_more(Ok(()));
            Empty::<Bytes>::new()
        })
        .await;
        let times = finish(arrived, &layer, response).await;
        assert_eq!(times, [ms(20), ms(20), ms(80)], "{method}");
        assert_rest_reported(&log, ms(20));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_service_goes_then_too() {
    for (required, took) in [(true, ms(20)), (false, ms(0))] {
        let (log, layer) = layer();
        let arrived = Instant::now();
        let service = layer.layer(service_fn(move |_: Request<()>| async move {
            if required {
                store_and_more(Ok(()));
            } else {
                spawn(after(80));
            }
            Err::<Response<Full<Bytes>>, _>("broken")
        }));
        let answer = service.oneshot(request()).await;
        assert_eq!(answer.map(drop), Err("broken"));
        assert_eq!(arrived.elapsed(), took);
        layer.handle().wait_idle().await;
        assert_eq!(arrived.elapsed(), ms(80));
        assert_eq!(log.report().held, took);
        assert_eq!(log.report().outcome, Outcome::Drained);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_required_task_nothing_is_held() {
    let (log, layer) = layer();
    let arrived = Instant::now();
    let response = respond(&layer, Method::GET, || {
        named("more").spawn(after(80));
        whole()
    })
    .await;
    let times = finish(arrived, &layer, response).await;
    assert_eq!(times, [ms(0), ms(0), ms(80)]);
    assert_eq!(log.report().held, ms(0));
    assert_eq!(log.report().drain, ms(80));
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_fails_fails_the_response_and_the_rest_is_not_waited_for() {
    for is_stream in [false, true] {
        let (log, layer) = layer();
        let arrived = Instant::now();
        let service = layer.layer(service_fn(move |_: Request<()>| async move {
            store_and_more(Err("the disk is full"));
            let frames = if is_stream {
                Frames::new(["a"])
            } else {
                Frames::new(["a"]).always_hints(1)
            };
            Ok::<_, Infallible>(Response::new(frames))
        }));
        let Ok(response) = service.oneshot(request()).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let times = finish(arrived, &layer, response).await;
        assert_eq!(times, [ms(20), ms(20), ms(80)]);
        let report = log.report();
        assert!(report.required_failed, "{report}");
        assert_eq!((report.failed, report.completed), (1, 1), "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_is_late_meets_the_deadline_as_under_auto() {
    for unfinished in [Unfinished::Abort, Unfinished::Cancel { grace: ms(10) }] {
        let (log, layer) = layer();
        let layer = layer.drain_timeout(ms(100)).at_deadline(unfinished);
        let arrived = Instant::now();
        let response = respond(&layer, Method::GET, || {
            named("store").required().spawn(async {
                after(500).await;
                Ok::<_, &str>(())
            });
            named("more").spawn(after(800));
            whole()
        })
        .await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(arrived.elapsed() <= ms(100), "{unfinished:?}");
        drop(response);
        layer.handle().wait_idle().await;
        let report = log.report();
        assert_eq!(report.outcome, Outcome::DeadlineExceeded, "{report}");
        assert_eq!(
            (report.aborted, report.required_failed),
            (2, true),
            "{report}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_request_sets_it_for_itself() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let arrived = Instant::now();
    let response = respond(&layer, Method::GET, || {
        current().set_hold(Hold::Required);
        store_and_more(Ok(()));
        whole()
    })
    .await;
    let times = finish(arrived, &layer, response).await;
    assert_eq!(times, [ms(20), ms(20), ms(80)]);
    assert_rest_reported(&log, ms(20));
}

#[tokio::test(start_paused = true)]
async fn what_is_awaited_before_the_release_is_awaited_in_the_background() {
    let (log, layer) = layer();
    let layer = layer.before_release(|_| after(50));
    let arrived = Instant::now();
    let response = respond(&layer, Method::GET, || {
        store_and_more(Ok(()));
        whole()
    })
    .await;
    let times = finish(arrived, &layer, response).await;
    assert_eq!(times, [ms(20), ms(20), ms(130)]);
    assert_eq!(log.report().held, ms(20));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_was_held_has_a_report_and_its_time() {
    let (_, layer) = layer();
    let layer = layer.server_timing(true).report_extension(true);
    let response = respond(&layer, Method::GET, || {
        store_and_more(Ok(()));
        whole()
    })
    .await;
    let report = response.extensions().get::<Arc<DrainReport>>();
    let report = report.expect("its head was held");
    assert_eq!((report.spawned, report.completed), (2, 1), "{report}");
    assert_eq!(response.headers()["server-timing"], "drain;dur=20.0");
}

#[tokio::test(start_paused = true)]
async fn without_a_runtime_at_its_end_the_rest_is_reported_as_it_stands() {
    let (log, layer) = layer();
    let response = respond(&layer, Method::GET, || {
        store_and_more(Ok(()));
        Frames::new(["a"])
    })
    .await;
    let read = std::thread::spawn(move || {
        let mut body = tokio_test::task::spawn(response.into_body());
        while let Poll::Ready(Some(_)) = body.enter(|cx, body| body.poll_frame(cx)) {}
    });
    read.join().expect("no panic");
    assert_eq!(log.report().stragglers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_last_required_task_wakes_the_response() {
    let (_, layer) = layer();
    let (send, tasks) = std::sync::mpsc::channel();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        let other = current().token();
        let sent = send.send((current().named("store").required().token(), other));
        sent.expect("the test is there");
        async { Ok::<_, Infallible>(Response::new(whole())) }
    }));
    let mut held = tokio_test::task::spawn(Box::pin(service.oneshot(request())));
    assert!(held.poll().is_pending(), "it is held for one turn");
    assert!(held.poll().is_pending(), "it is held for the token");
    let (required, other) = tasks.recv().expect("the handler has run");
    drop(required);
    assert!(held.is_woken(), "nothing else wakes it");
    assert!(held.poll().is_ready(), "the other one is alive");
    drop(other);
}

/// What else was aborted for the deadline has not made the response late.
#[tokio::test(start_paused = true)]
async fn required_tasks_that_end_while_others_are_aborted_are_in_time() {
    for hold in [Hold::Required, Hold::Auto] {
        let layer = TaskTrackerLayer::new()
            .hold(hold)
            .drain_timeout(ms(100))
            .at_deadline(Unfinished::Abort)
            .deadline_status(StatusCode::GATEWAY_TIMEOUT);
        let response = respond(&layer, Method::GET, || {
            let token = current().named("store").required().token();
            tokio::spawn(async move {
                after(95).await;
                drop(token);
            });
            named("more").spawn(after(500));
            // A stream: `Hold::Auto` holds its head for the required task alone.
            Frames::new(["accepted"])
        })
        .await;
        assert_eq!(response.status(), StatusCode::OK, "{hold:?}");
    }
}
