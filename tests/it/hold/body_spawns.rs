//! Tasks that a body spawns are waited for: while it streams, when its size is read, and in its destructor.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, Outcome, TaskTrackerLayer, Tasks, named, spawn};

use crate::support::{Frames, Log, after, current, ms, observed, request, respond};

#[tokio::test(start_paused = true)]
async fn what_the_destructor_of_a_finished_body_spawns_is_held_for() {
    let (log, layer) = observed();
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
async fn what_a_complete_body_leaves_behind_holds_nothing() {
    let (log, layer) = observed();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        drop(current().token());
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
    assert_eq!(report.held, ms(0), "{report}");
    assert_eq!(report.drain, ms(50), "{report}");
}

/// It is not at its end. The first call of `is_end_stream` with no task alive spawns one.
struct SpawnsAtTheLook(AtomicBool, Tasks);

impl Body for SpawnsAtTheLook {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        if self.1.is_empty() && !self.0.swap(true, Ordering::SeqCst) {
            self.1.named("afterthought").spawn(after(40));
        }
        false
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_without_a_body_waits_for_what_the_body_spawns_when_its_end_is_read() {
    let (log, layer) = observed();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        named("first").spawn(after(10));
        let body = SpawnsAtTheLook(AtomicBool::new(false), current());
        let mut response = Response::new(body);
        // The server ends the response with its head.
        let zero = http::HeaderValue::from_static("0");
        response.headers_mut().insert(CONTENT_LENGTH, zero);
        Ok::<_, Infallible>(response)
    }));
    let start = Instant::now();
    // In HTTP/1 it would be dropped.
    let mut request = request();
    *request.version_mut() = http::Version::HTTP_2;
    let Ok(answer) = service.oneshot(request).await;
    let answered = start.elapsed();
    drop(answer);
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_eq!((report.completed, report.outcome), (2, Outcome::Drained));
    assert_eq!(answered, ms(10 + 40), "the head is the end");
}

/// A body that is not at its end, and that spawns at the first call of `size_hint`.
pub(crate) struct SpawnsWhenAsked(
    pub(crate) Cell<bool>,
    pub(crate) Tasks,
    pub(crate) fn(&Tasks),
);

impl Body for SpawnsWhenAsked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        if !self.0.replace(true) {
            (self.2)(&self.1);
        }
        SizeHint::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_body_spawns_when_its_size_is_read_holds_a_head_that_has_no_body() {
    let service = TaskTrackerLayer::new().layer(service_fn(|_: Request<()>| async {
        let spawns = |tasks: &Tasks| drop(tasks.spawn(after(20)));
        let body = SpawnsWhenAsked(Cell::new(false), current(), spawns);
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok::<_, Infallible>(response)
    }));
    let start = Instant::now();
    let Ok(answer) = service.oneshot(request()).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(start.elapsed(), ms(20), "the server sends the end with it");
}
