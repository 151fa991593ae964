//! Statements of the front page that no other module here tests.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{DrainReport, Hold, TaskTrackerLayer, named, scope, spawn};

use crate::logs::events::logged;
use crate::subscribers::lines::Lines;
use crate::support::{Frames, after, current, full, held, ms, request, tracked};

#[tokio::test(start_paused = true)]
async fn an_error_of_the_service_waits_in_every_mode_that_holds() {
    for (hold, waits) in [
        (Hold::Auto, 30),
        (Hold::End, 30),
        (Hold::Head, 30),
        (Hold::Never, 0),
    ] {
        let service =
            TaskTrackerLayer::new()
                .hold(hold)
                .layer(service_fn(|_: Request<()>| async {
                    spawn(after(30));
                    Err::<Response<Full<Bytes>>, _>("no")
                }));
        let start = Instant::now();
        assert_eq!(service.oneshot(request()).await.err(), Some("no"));
        assert_eq!(start.elapsed(), ms(waits), "{hold:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_there_has_its_head_held_also_with_trailers_behind_it() {
    let service = TaskTrackerLayer::new().layer(service_fn(|_: Request<()>| async {
        spawn(after(30));
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        let frames = [
            Ok::<_, Infallible>(Frame::data(Bytes::from("whole"))),
            Ok(Frame::trailers(trailers)),
        ];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        Ok::<_, Infallible>(Response::new(Exact(body)))
    }));
    let start = Instant::now();
    let Ok(response) = service.oneshot(request()).await;
    assert_eq!(start.elapsed(), ms(30), "its head");
    let body = response.into_body().collect().await;
    let body = body.unwrap_or_else(|error| panic!("{error}"));
    assert!(body.trailers().is_some(), "and they are there");
    assert_eq!(body.to_bytes(), "whole");
}

/// It says that its length is five.
struct Exact<B>(B);

impl<B: http_body::Body + Unpin> http_body::Body for Exact<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(5)
    }
}

#[tokio::test(start_paused = true)]
async fn inside_of_a_layer_that_holds_nothing_a_route_has_to_say_that_it_does() {
    let outer = TaskTrackerLayer::new().hold(Hold::Never);
    for (route, waits) in [
        (TaskTrackerLayer::new(), 0),
        (TaskTrackerLayer::new().hold(Hold::Auto), 30),
    ] {
        let service = outer.layer(tracked(&route, || {
            spawn(after(30));
        }));
        let start = Instant::now();
        drop(service.oneshot(request()).await);
        assert_eq!(start.elapsed(), ms(waits), "{route:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_had_nothing_to_wait_for_any_more_has_its_report_too() {
    let layer = TaskTrackerLayer::new().report_extension(true);
    let service = layer.layer(service_fn(|_: Request<()>| async {
        drop(spawn(async {}).await);
        Ok::<_, Infallible>(full("done"))
    }));
    let Ok(response) = service.oneshot(request()).await;
    let report = response.extensions().get::<Arc<DrainReport>>();
    assert_eq!(report.map(|report| report.completed), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_did_not_complete_is_an_error_in_the_log_where_no_response_fails_too()
{
    let lines = Lines::default();
    let _listening = lines.listen();
    scope(|_| async {
        named("order")
            .required()
            .spawn(async { Err::<(), _>("no") });
    })
    .await;
    let line = lines.with("the response depends on");
    assert!(line.starts_with("ERROR"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn every_event_has_the_target_that_users_filter_by() {
    let lines = logged(TaskTrackerLayer::new().drain_timeout(ms(5)), || {
        spawn(async { panic!("planned") });
        named("late").spawn(after(20));
    })
    .await;
    let all = Lines::text(&lines);
    assert!(all.lines().count() > 1, "{all}");
    let foreign: Vec<_> = all
        .lines()
        .filter(|line| !line.contains(" tower_task_tracker: "))
        .collect();
    assert_eq!(foreign, [""; 0], "{all}");
}

#[tokio::test(start_paused = true)]
async fn what_a_join_set_runs_is_tracked_if_it_is_tracked_before() {
    let ((), report) = scope(|tasks| async move {
        let mut set = JoinSet::new();
        set.spawn(tasks.track_future(async {
            spawn(after(20));
            7
        }));
        assert_eq!(set.join_next().await.and_then(Result::ok), Some(7));
    })
    .await;
    assert_eq!((report.spawned, report.completed), (2, 2), "{report}");
}

#[tokio::test(start_paused = true)]
async fn once_the_window_has_closed_at_the_head_the_end_does_not_wait() {
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .drain_timeout(ms(10));
    let service = layer.layer(service_fn(|_: Request<()>| async {
        spawn(after(500));
        let body = Frames::new(["a"]).spawns_at_drop(500);
        Ok::<_, Infallible>(Response::new(body))
    }));
    let start = Instant::now();
    let Ok(response) = service.oneshot(request()).await;
    assert_eq!(start.elapsed(), ms(10));
    let body = timeout(ms(1), response.into_body().collect()).await;
    assert!(body.is_ok(), "the end is not held again");
}

#[tokio::test(start_paused = true)]
async fn a_request_with_detached_tasks_alone_is_reported_with_none() {
    let (log, layer) = crate::support::told();
    held(&layer, || {
        current().task().detached().spawn(after(20));
    })
    .await;
    assert_eq!(log.report().spawned, 0);
}
