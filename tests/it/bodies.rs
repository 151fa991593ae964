//! The response body, frame by frame, where the property tests are too blunt.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{
    Hold, Outcome, ResponseBody, TaskState, TaskTrackerLayer, Tasks, scope, spawn,
};

use crate::support::{Frames, Log, after, ms, request};

/// The response of a handler that runs `start` and then makes a body.
async fn respond<B, S>(
    layer: &TaskTrackerLayer,
    method: Method,
    body: S,
) -> Response<ResponseBody<B>>
where
    B: Body,
    S: Fn() -> B,
{
    let mut request = request();
    *request.method_mut() = method;
    let service = service_fn(|_: Request<()>| {
        let response = Response::new(body());
        async { Ok::<_, Infallible>(response) }
    });
    let answered = layer.layer(service).oneshot(request).await;
    answered.expect("infallible")
}

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
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
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
async fn the_answer_to_head_does_not_wait_for_a_producer_that_nobody_reads() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let start = Instant::now();
    let response = respond(&layer, Method::HEAD, || {
        let (send, receive) = mpsc::channel::<Bytes>(1);
        spawn(async move {
            // Blocks on a full channel until the receiver is gone.
            while send.send(Bytes::from_static(b"tick")).await.is_ok() {}
            after(20).await;
        });
        let frames = futures_util::stream::unfold(receive, |mut receive| async {
            let data = receive.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(data)), receive))
        });
        StreamBody::new(Box::pin(frames))
    })
    .await;
    assert_eq!(
        start.elapsed(),
        ms(20),
        "it was held for the task, and not for the reader"
    );
    assert_eq!(
        response.body().size_hint().exact(),
        None,
        "the length is as it was"
    );
    assert!(!response.body().is_end_stream());
    drop(response);
    assert_eq!(
        log.report().outcome,
        Outcome::Drained,
        "its drop is no disconnect"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_unsent_body_of_an_answer_to_head_spawns_is_held_for() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let start = Instant::now();
    let response = respond(&layer, Method::HEAD, || {
        spawn(after(10));
        Frames::new(["a", "b"]).spawns_at_drop(40)
    })
    .await;
    assert_eq!(start.elapsed(), ms(40));
    drop(response);
    assert_eq!(log.report().completed, 2);
}

#[tokio::test(start_paused = true)]
async fn the_whole_body_of_an_answer_to_head_stays() {
    let layer = TaskTrackerLayer::new();
    let response = respond(&layer, Method::HEAD, || {
        spawn(after(10));
        Full::new(Bytes::from_static(b"whole"))
    })
    .await;
    assert_eq!(response.body().size_hint().exact(), Some(5));
    let body = response.into_body().collect().await.expect("no error");
    assert_eq!(body.to_bytes(), "whole", "HTTP/2 may still look at it");
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
        let layer = TaskTrackerLayer::new().hold(hold).on_drain(log.clone());
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
        .on_drain(log.clone());
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
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
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
        report.stragglers[0].name,
        Some("last will"),
        "its destructor was heard"
    );
}

#[tokio::test(start_paused = true)]
async fn with_hold_never_the_report_comes_when_the_tasks_are_done() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Never)
        .on_drain(log.clone());
    let start = Instant::now();
    let response = respond(&layer, Method::GET, || {
        spawn(after(80));
        Full::new(Bytes::from_static(b"x"))
    })
    .await;
    drop(response.into_body().collect().await);
    assert_eq!(start.elapsed(), ms(0));
    assert!(log.reports().is_empty());
    layer.handle().wait_idle().await;
    assert_eq!(start.elapsed(), ms(80));
    let report = log.report();
    assert_eq!((report.held, report.drain), (ms(0), ms(80)));
    assert_eq!(report.outcome, Outcome::Drained);
}

#[test]
fn with_hold_never_a_runtime_that_shuts_down_ends_the_wait() {
    // The answer to `GET` ends with its head, and the one to `HEAD` when it is dropped.
    for method in [Method::GET, Method::HEAD] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .hold(Hold::Never)
            .on_drain(log.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        // The task outlives the runtime that the wait is on.
        let elsewhere = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let response = respond(&layer, method.clone(), || {
                let tasks = Tasks::current().expect("in a request");
                tasks.spawn_on(pending::<()>(), elsewhere.handle());
                let frames: [_; 0] = [];
                Frames::new(frames)
            })
            .await;
            if method == Method::GET {
                drop(response.into_body().collect().await);
            }
            tokio::task::yield_now().await;
            assert!(
                log.reports().is_empty(),
                "it is waited for in the background"
            );
        });
        drop(runtime);
        assert_eq!(log.report().stragglers.len(), 1);
        drop(elsewhere);
        assert_eq!(log.detached_ends().len(), 1);
        assert_eq!(layer.handle().live_requests(), 0);
    }
}

#[test]
fn with_hold_never_and_no_runtime_the_body_is_reported_as_it_stands() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Never)
        .on_drain(log.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let response = runtime.block_on(respond(&layer, Method::GET, || {
        spawn(pending::<()>());
        Full::new(Bytes::from_static(b"x"))
    }));
    let mut body = tokio_test::task::spawn(response.into_body());
    // Outside of the runtime.
    let read = body.enter(|cx, body| body.poll_frame(cx).is_ready());
    assert!(read, "it is not held");
    assert_eq!(log.report().stragglers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_blocking_closure_that_outlives_the_window_is_a_straggler_with_an_age() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(20))
        .on_drain(log.clone());
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
    assert_eq!((straggler.name, straggler.age), (Some("stuck"), ms(20)));
    assert_eq!(layer.handle().live_tasks(), 1, "it stays with the handle");
    release.send(()).expect("the closure waits");
    layer.handle().wait_idle().await;
    assert_eq!(log.detached_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn what_is_spawned_after_an_upgrade_is_not_late() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let mut service = layer.layer(service_fn(|_: Request<()>| async {
        let tasks = Tasks::current().expect("in a request");
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
    assert_eq!(log.detached_ends().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_handler_sets_the_hold_of_its_own_response() {
    let layer = TaskTrackerLayer::new();
    let response = respond(&layer, Method::GET, || {
        let tasks = Tasks::current().expect("in a request");
        tasks.set_hold(Hold::Never);
        tasks.spawn(after(50));
        Full::new(Bytes::from_static(b"x"))
    });
    let start = Instant::now();
    drop(response.await);
    assert_eq!(start.elapsed(), ms(0));
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
    assert_eq!(body.get_ref().map(Frames::left), Some(1), "one was taken");
    assert_eq!(body.get_mut().map(|body| body.left()), Some(1));
    let pinned = Pin::new(&mut body).get_pin_mut();
    assert_eq!(pinned.map(|body| body.left()), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_no_client_is_to_get_is_gone_when_its_head_was_held() {
    let layer = TaskTrackerLayer::new();
    let start = Instant::now();
    let response = respond(&layer, Method::HEAD, || {
        spawn(after(20));
        Frames::new(["a", "b"]).always_hints(2)
    })
    .await;
    assert_eq!(start.elapsed(), ms(20), "its head was held");
    let mut body = response.into_body();
    assert!(body.get_ref().is_none());
    assert!(body.get_mut().is_none());
    assert!(Pin::new(&mut body).get_pin_mut().is_none());
    assert_eq!(body.size_hint().exact(), Some(2), "its length is told");
}
