//! Once a response has drained and goes on or fails, its window is closed: a destructor that then reads the
//! deadline finds no drain timeout.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainReport, Hold, TaskScopeLayer, TaskTrackerLayer, Tasks, named, spawn,
};

use crate::bodies::case::{Case, End, read};
use crate::support::Act::{self, Data, Stall};
use crate::support::{LastWords, Play, Slot, after, current, ms, put, request, take};

/// What a destructor was answered.
type Answer = Slot<Option<Instant>>;

/// A body that reads the deadline of its request when it is dropped.
fn asks(acts: &[Act]) -> (Play, Answer) {
    let answer = Answer::default();
    let answered = answer.clone();
    let (body, _) = Play::new(acts);
    (body.at_drop(move || ask(&answered)), answer)
}

fn ask(answered: &Answer) {
    put(answered, current().deadline());
}

fn fails_after(millis: u64) {
    named("order").required().spawn(async move {
        after(millis).await;
        Err::<(), _>("disk full")
    });
}

/// A response that is held for 30 ms goes on, or fails. Then it is dropped.
#[tokio::test(start_paused = true)]
async fn the_body_behind_a_head_that_was_held_finds_the_window_shut() {
    let acts = &[Data("a"), Stall];
    let waits: fn() = || drop(spawn(after(30)));
    let fails: fn() = || fails_after(30);
    for (hold, start, status) in [
        (Hold::Head, waits, StatusCode::OK),
        (Hold::Auto, fails, StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let (body, answer) = asks(acts);
        let layer = TaskTrackerLayer::new().hold(hold);
        let arrived = Instant::now();
        let case = Case::new("a stream", acts);
        let response = case.respond(&layer, body, start).await;
        assert_eq!((response.status(), arrived.elapsed()), (status, ms(30)));
        drop(response);
        assert_eq!(take(&answer), None, "{status}");
    }
}

/// Over HTTP/2 a body is kept that has reached its length and has not ended. `hints`: the body was looked at before the
/// head, and lies in another place.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_in_favour_of_a_failure_finds_the_window_shut() {
    for hints in [false, true] {
        let (hold, acts): (_, &[Act]) = if hints {
            (Hold::Auto, &[Data("01234"), Data("56789"), Stall])
        } else {
            (Hold::End, &[Data("0123456789"), Stall])
        };
        let (body, answer) = asks(acts);
        let body = if hints { body.hints(10) } else { body };
        let case = Case {
            version: Version::HTTP_2,
            header: Some(10),
            ..Case::new("ten bytes", &[])
        };
        let layer = TaskTrackerLayer::new().hold(hold);
        let start = || {
            spawn(async {
                after(10).await;
                fails_after(20);
            });
        };
        let response = case.respond(&layer, body, start).await;
        assert_eq!(response.status(), StatusCode::OK, "nothing has failed yet");
        let (_, end) = read(response.into_body()).await;
        assert!(matches!(end, End::Error(_)), "{hints}: {end:?}");
        assert_eq!(take(&answer), None, "{hints}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_the_server_drops_after_its_last_byte_finds_the_window_shut() {
    let (body, answer) = asks(&[Data("0123456789"), Stall]);
    let case = Case {
        version: Version::HTTP_2,
        header: Some(10),
        ..Case::new("ten bytes", &[])
    };
    let layer = TaskTrackerLayer::new().hold(Hold::End);
    let arrived = Instant::now();
    let start = || drop(spawn(after(30)));
    let response = case.respond(&layer, body, start).await;
    let mut body = response.into_body();
    assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    assert_eq!(arrived.elapsed(), ms(30), "the last byte was held");
    drop(body);
    assert_eq!(take(&answer), None);
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_that_the_body_of_a_failed_head_owns_finds_the_window_shut() {
    let answer = Answer::default();
    let answered = answer.clone();
    let service = TaskTrackerLayer::new().layer(service_fn(move |_: Request<()>| {
        fails_after(30);
        let answered = answered.clone();
        let last_words = LastWords::new(move || ask(&answered));
        let task = named("owned").detached().track_future(async move {
            let _last_words = last_words;
            pending::<()>().await;
        });
        let frames = futures_util::stream::once(async move {
            task.await;
            Ok::<_, Infallible>(Frame::data(Bytes::new()))
        });
        let body = http_body_util::StreamBody::new(Box::pin(frames));
        async { Ok::<_, Infallible>(Response::new(body)) }
    }));
    let Ok(response) = service.oneshot(request()).await;
    assert!(response.status().is_server_error());
    assert_eq!(take(&answer), None);
}

/// A body of ten bytes. The first call of `is_end_stream` after the first task is done spawns a task. It stands for
/// another thread, between the end of the wait and the release.
struct SpawnsAtTheLast {
    tasks: Tasks,
    data: Option<Bytes>,
    is_done: Arc<AtomicBool>,
    has_spawned: Cell<bool>,
    _last_words: LastWords<Box<dyn FnOnce()>>,
}

impl Body for SpawnsAtTheLast {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.data.take() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        let is_done = self.is_done.load(Ordering::SeqCst);
        if is_done && !self.has_spawned.replace(true) {
            self.tasks.spawn(after(20));
        }
        is_done
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_for_a_task_of_the_last_moment_finds_the_window_shut() {
    let answer = Answer::default();
    let answered = answer.clone();
    let service = TaskTrackerLayer::new().layer(service_fn(move |_: Request<()>| {
        let is_done = Arc::new(AtomicBool::new(false));
        let done = is_done.clone();
        spawn(async move {
            after(30).await;
            done.store(true, Ordering::SeqCst);
        });
        let answered = answered.clone();
        let body = SpawnsAtTheLast {
            tasks: current(),
            data: Some(Bytes::from("0123456789")),
            is_done,
            has_spawned: Cell::new(false),
            _last_words: LastWords::new(Box::new(move || ask(&answered))),
        };
        async { Ok::<_, Infallible>(Response::new(body)) }
    }));
    let mut request = request();
    *request.version_mut() = Version::HTTP_2;
    let arrived = Instant::now();
    let Ok(response) = service.oneshot(request).await;
    assert_eq!(arrived.elapsed(), ms(50), "both tasks are waited for");
    assert_eq!(take(&answer), None, "it was dropped before the second wait");
    drop(response);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_scope_drops_for_a_failure_finds_the_window_shut() {
    let answer = Answer::default();
    let answered = answer.clone();
    let layer = TaskScopeLayer::new().fail_with(|_: &DrainReport| "failed");
    let service = layer.layer(service_fn(move |(): ()| {
        fails_after(30);
        let answered = answered.clone();
        async move { Ok::<_, &str>(LastWords::new(move || ask(&answered))) }
    }));
    let failed = service.oneshot(()).await;
    assert_eq!(failed.err(), Some("failed"));
    assert_eq!(take(&answer), None);
}
