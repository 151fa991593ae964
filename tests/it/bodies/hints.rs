//! The response body, frame by frame, for cases that the property tests do not single out.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{Hold, Outcome, ResponseBody, TaskState, TaskTrackerLayer, scope, spawn};

use crate::support::{Frames, Log, after, current, ms, request, respond, told};

#[tokio::test(start_paused = true)]
async fn a_body_polled_after_its_end_goes_on_to_say_so() {
    let outer = TaskTrackerLayer::new();
    let service = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Frames::new(["one"])))
    });
    // Watched, and passed through by an inner layer.
    let nested = outer.layer(TaskTrackerLayer::new().layer(service));
    let body = nested.oneshot(request()).await.expect("infallible");
    let mut body = body.into_body();
    let first = body.frame().await.expect("a frame").expect("no error");
    assert_eq!(first.into_data().expect("data"), "one");
    for _ in 0..3 {
        assert!(body.frame().await.is_none());
        assert!(body.is_end_stream());
    }

    let (response, _) = scope(|_| {
        let service = service_fn(|_: Request<()>| async {
            Ok::<_, Infallible>(Response::new(Frames::new(["one"])))
        });
        TaskTrackerLayer::new().layer(service).oneshot(request())
    })
    .await;
    let mut passed_through = response.expect("infallible").into_body();
    assert!(passed_through.frame().await.is_some());
    for _ in 0..3 {
        assert!(passed_through.frame().await.is_none());
        assert!(passed_through.is_end_stream());
    }

    let mut empty = ResponseBody::<Full<Bytes>>::default();
    assert!(empty.is_end_stream());
    assert_eq!(empty.size_hint().exact(), Some(0));
    assert!(empty.frame().await.is_none());
    assert!(empty.get_ref().is_none() && empty.get_mut().is_none());
}

#[tokio::test(start_paused = true)]
async fn while_the_end_is_held_the_body_says_that_more_is_to_come() {
    let layer = TaskTrackerLayer::new().hold(Hold::End);
    let response = respond(&layer, Method::GET, || {
        spawn(after(100));
        Full::new(Bytes::from_static(b"whole"))
    })
    .await;
    let start = Instant::now();
    let mut body = tokio_test::task::spawn(response.into_body());
    assert_eq!(body.size_hint().exact(), Some(5));
    let held = body.enter(|cx, body| body.poll_frame(cx).is_pending());
    assert!(held, "the last data frame is held");
    assert_eq!(body.size_hint().exact(), Some(5), "it is still to come");
    assert!(!body.is_end_stream());
    let frame = body.frame().await.expect("a frame").expect("no error");
    assert_eq!(frame.into_data().expect("data"), "whole");
    assert_eq!(start.elapsed(), ms(100));
    assert_eq!(body.size_hint().exact(), Some(0));
    assert!(body.is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn a_body_whose_hint_never_changes_is_told_of_as_it_told() {
    let service = TaskTrackerLayer::new().layer(service_fn(|_: Request<()>| async {
        spawn(after(5));
        let body = Frames::new(["abc"]).always_hints(3);
        Ok::<_, Infallible>(Response::new(body))
    }));
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.body().size_hint().exact(), Some(3));
    let body = response.into_body().collect().await.expect("no error");
    assert_eq!(body.to_bytes(), "abc");
}

#[tokio::test(start_paused = true)]
async fn a_data_frame_of_a_stream_passes_and_its_end_is_held() {
    // Its inner body knows with its only frame that it is at its end; the frame passes all the same.
    let response = respond(&TaskTrackerLayer::new(), Method::GET, || {
        spawn(after(100));
        Frames::new(["x"]).knows_its_end()
    })
    .await;
    let start = Instant::now();
    let mut body = response.into_body();
    assert!(body.frame().await.is_some());
    assert_eq!(start.elapsed(), ms(0));
    assert!(
        !body.is_end_stream(),
        "a server would end the response here"
    );
    assert!(body.frame().await.is_none());
    assert_eq!(start.elapsed(), ms(100));
}

#[tokio::test(start_paused = true)]
async fn trailers_behind_a_length_of_zero_are_held_and_not_lost() {
    let start = Instant::now();
    let layer = TaskTrackerLayer::new();
    let response = respond(&layer, Method::GET, || {
        spawn(after(30));
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        Empty::<Bytes>::new().with_trailers(std::future::ready(Some(Ok(trailers))))
    })
    .await;
    let collected = response.into_body().collect().await.expect("no error");
    let trailers = collected.trailers().expect("they are there");
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(start.elapsed(), ms(30), "they were held");
}

#[tokio::test(start_paused = true)]
async fn what_the_destructor_of_a_finished_body_spawns_is_held_for() {
    let (log, layer) = told();
    let response = respond(&layer, Method::GET, || {
        Frames::new(["a", "b"]).spawns_at_drop(40)
    })
    .await;
    let start = Instant::now();
    let body = response.into_body().collect().await.expect("no error");
    assert_eq!(body.to_bytes(), "ab");
    assert_eq!(start.elapsed(), ms(40));
    assert_eq!((log.report().spawned, log.report().completed), (1, 1));
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn tasks_that_a_body_spawns_behind_a_held_head_hold_its_end() {
    struct SpawnsAtTheEnd(bool);
    impl Body for SpawnsAtTheEnd {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if std::mem::replace(&mut self.0, true) {
                spawn(after(50));
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }
    for hold in [Hold::Auto, Hold::Head, Hold::End] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new().hold(hold).observer(log.clone());
        let start = Instant::now();
        let response = respond(&layer, Method::GET, || {
            spawn(after(30));
            SpawnsAtTheEnd(false)
        })
        .await;
        let held_head = if hold == Hold::Head { ms(30) } else { ms(0) };
        assert_eq!(start.elapsed(), held_head, "{hold:?}");
        drop(response.into_body().collect().await);
        assert_eq!(start.elapsed(), held_head + ms(50), "{hold:?}");
        let report = log.report();
        assert_eq!((report.spawned, report.held), (2, held_head + ms(50)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_that_closed_at_the_head_stays_closed_at_the_end() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .drain_timeout(ms(50))
        .observer(log.clone());
    let start = Instant::now();
    let response = respond(&layer, Method::GET, || {
        spawn(after(500));
        Frames::new(["a", "b"])
    })
    .await;
    assert_eq!(start.elapsed(), ms(50));
    assert!(log.reports().is_empty(), "the report waits for the end");
    drop(response.into_body().collect().await);
    assert_eq!(start.elapsed(), ms(50), "it is not held a second time");
    assert_eq!(log.report().outcome, Outcome::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_body_dropped_before_its_end_is_reported_as_dropped() {
    let (log, layer) = told();
    let response = respond(&layer, Method::GET, || {
        spawn(async {});
        Frames::new(["a", "b"]).spawns_at_drop(10)
    })
    .await;
    let mut body = response.into_body();
    assert!(body.frame().await.is_some());
    tokio::task::yield_now().await;
    drop(body);
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Dropped);
    assert_eq!((report.spawned, report.completed), (2, 1));
    assert_eq!(
        report.stragglers[0].name.as_deref(),
        Some("last will"),
        "its destructor was heard"
    );
}

#[tokio::test(start_paused = true)]
async fn a_blocking_closure_that_outlives_the_window_is_a_straggler_with_an_age() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(20))
        .observer(log.clone());
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(Some(blocked));
    let response = respond(&layer, Method::GET, || {
        let blocked = blocked.lock().expect("unpoisoned").take();
        tower_task_tracker::named("stuck").spawn_blocking(move || {
            let blocked = blocked.expect("called once");
            blocked.recv().expect("the test sends");
        });
        Full::new(Bytes::from_static(b"x"))
    });
    // Paused time does not pass by itself while a blocking closure runs.
    let (response, ()) = tokio::join!(response, tokio::time::advance(ms(20)));
    drop(response.into_body().collect().await);
    let straggler = log.report().stragglers.remove(0);
    assert_eq!(
        (straggler.name.as_deref(), straggler.age),
        (Some("stuck"), ms(20))
    );
    assert_eq!(layer.handle().live_tasks(), 1, "it stays with the handle");
    release.send(()).expect("the closure waits");
    layer.handle().wait_idle().await;
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn what_is_spawned_after_an_upgrade_is_not_late() {
    let (log, layer) = told();
    let mut service = layer.layer(service_fn(|_: Request<()>| async {
        let tasks = current();
        tasks.spawn(async {
            after(30).await;
            spawn(after(30));
        });
        let mut response = Response::new(Empty::<Bytes>::new());
        *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
        Ok::<_, Infallible>(response)
    }));
    let mut future = tokio_test::task::spawn(service.call(request()));
    assert!(future.poll().is_ready(), "an upgrade is not held");
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Upgraded);
    assert_eq!(report.stragglers.len(), 1);
    let start = Instant::now();
    layer.handle().wait_idle().await;
    assert_eq!(start.elapsed(), ms(60));
    assert!(log.late_spawns().is_empty());
    assert_eq!(log.late_ends().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_inner_body_can_be_reached_until_it_has_ended() {
    let layer = TaskTrackerLayer::new();
    let response = respond(&layer, Method::GET, || Frames::new(["a"])).await;
    let mut body = response.into_body();
    assert_eq!(body.get_ref().map(Frames::left), Some(1));
    assert!(body.get_mut().is_some());
    assert!(Pin::new(&mut body).get_pin_mut().is_some());
    drop((&mut body).collect().await);
    assert!(body.get_ref().is_none(), "it was dropped at its end");
    assert_eq!(SizeHint::with_exact(0).exact(), body.size_hint().exact());
}

#[tokio::test(start_paused = true)]
async fn the_inner_body_can_be_reached_also_where_it_was_looked_at_for_its_head() {
    let layer = TaskTrackerLayer::new();
    let start = Instant::now();
    let response = respond(&layer, Method::GET, || {
        spawn(after(20));
        Frames::new(["a", "b"]).always_hints(1)
    })
    .await;
    assert_eq!(start.elapsed(), ms(20), "its head was held");
    let mut body = response.into_body();
    // Behind its length it has given more, and is not dropped.
    assert_eq!(body.get_ref().map(Frames::left), Some(0), "two were taken");
    assert_eq!(body.get_mut().map(|body| body.left()), Some(0));
    let pinned = Pin::new(&mut body).get_pin_mut();
    assert_eq!(pinned.map(|body| body.left()), Some(0));
    let body = body.collect().await.expect("no error");
    assert_eq!(body.to_bytes(), "ab", "nothing is lost");
}
