//! What becomes of a body that has begun when a required task fails.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{BodyError, Hold, ResponseBody, TaskTrackerLayer, named};

use super::{FAILURE, required};
use crate::support::{Frames, after, request};

pub(crate) type End = Option<Result<HeaderMap, BodyError>>;

/// The response of a handler that runs `start` and answers so.
pub(crate) async fn answer<B: Body>(
    hold: Hold,
    answer: Response<B>,
    start: impl Fn(),
) -> Response<ResponseBody<B>> {
    let answer = Mutex::new(Some(answer));
    let service = TaskTrackerLayer::new()
        .hold(hold)
        .layer(service_fn(|_: Request<()>| {
            start();
            let answer = answer.lock().expect("no panic holds this lock").take();
            std::future::ready(Ok::<_, Infallible>(answer.expect("it is called once")))
        }));
    let Ok(answer) = service.oneshot(request()).await;
    answer
}

/// What a client reads: the data, and how it ends.
pub(crate) async fn read<B>(answer: Response<ResponseBody<B>>) -> (Vec<B::Data>, End)
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let mut body = Box::pin(answer.into_body());
    let mut data = Vec::new();
    loop {
        let said = body.is_end_stream();
        let frame = body.frame().await;
        assert!(frame.is_none() || !said, "it said that it was at its end");
        match frame {
            None => return (data, None),
            Some(Err(error)) => {
                assert!(body.frame().await.is_none(), "it stays at its end");
                return (data, Some(Err(error)));
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => data.push(bytes),
                Err(frame) => {
                    assert!(body.frame().await.is_none(), "it stays at its end");
                    return (data, frame.into_trailers().ok().map(Ok));
                }
            },
        }
    }
}

fn has_failed(end: &End) -> bool {
    matches!(end, Some(Err(error)) if error.is_required_failed())
}

pub(crate) fn fails_later() {
    required(20, FAILURE);
}

#[tokio::test(start_paused = true)]
async fn a_held_end_becomes_an_error() {
    for (what, body, passes) in [
        ("an unknown length", Frames::new(["a", "b"]), 2),
        (
            "an end foretold",
            Frames::new(["a", "b"]).shows_its_end(),
            2,
        ),
        ("a known length", Frames::new(["a", "b"]).always_hints(2), 1),
        (
            "a known length and end",
            Frames::new(["a", "b"]).always_hints(2).shows_its_end(),
            1,
        ),
    ] {
        let answer = answer(Hold::End, Response::new(body), fails_later).await;
        assert_eq!(answer.status(), StatusCode::OK, "{what}: its head is sent");
        let (data, end) = read(answer).await;
        assert_eq!(data, &["a", "b"][..passes], "{what}");
        assert!(has_failed(&end), "{what}: {end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_the_end_is_not_forgotten() {
    for hold in [Hold::End, Hold::Never] {
        let answer = answer(hold, Response::new(Frames::new(["a", "b"])), fails_later).await;
        // No task is alive any more when the body is polled for its end.
        after(100).await;
        let (data, end) = read(answer).await;
        assert_eq!(data, ["a", "b"], "{hold:?}");
        assert!(has_failed(&end), "{hold:?}: {end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn under_never_a_task_that_has_failed_fails_the_end_while_others_still_run() {
    let start = || {
        fails_later();
        named("slow").spawn(after(500));
    };
    let body = Frames::new(["a", "b"]);
    let answer = answer(Hold::Never, Response::new(body), start).await;
    after(100).await;
    let asked = Instant::now();
    let (_, end) = read(answer).await;
    assert!(has_failed(&end), "{end:?}");
    assert_eq!(asked.elapsed(), Duration::ZERO, "nothing is waited for");
}

#[tokio::test(start_paused = true)]
async fn under_never_the_end_does_not_wait_for_a_later_failure() {
    let body = Frames::new(["a", "b"]);
    let answer = answer(Hold::Never, Response::new(body), fails_later).await;
    let (data, end) = read(answer).await;
    assert_eq!(data.len(), 2);
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn before_the_error_the_server_has_a_turn_to_send_what_it_has() {
    for (which, body) in [
        ("a stream", Frames::new(["a"])),
        ("one that shows its end", Frames::new(["a"]).shows_its_end()),
        ("a known length", Frames::new(["a", "b"]).always_hints(2)),
    ] {
        let answer = answer(Hold::End, Response::new(body), fails_later).await;
        after(100).await;
        let mut body = tokio_test::task::spawn(answer.into_body());
        let data = body.enter(|cx, body| body.poll_frame(cx));
        assert!(matches!(data, Poll::Ready(Some(Ok(_)))), "{which}");
        let turn = body.enter(|cx, body| body.poll_frame(cx));
        // In one poll hyper would discard the frame.
        assert!(turn.is_pending(), "{which}");
        assert!(body.is_woken(), "nothing else would wake it: {which}");
        let end = body.enter(|cx, body| body.poll_frame(cx));
        let Poll::Ready(Some(Err(error))) = end else {
            panic!("it ends as an error: {which}");
        };
        assert!(error.is_required_failed(), "{which}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_body_is_passed_on_as_it_is() {
    let frames = [Ok(Frame::data(Bytes::from("a"))), Err("broken")];
    let body = StreamBody::new(stream::iter(frames));
    let answer = answer(Hold::End, Response::new(body), fails_later).await;
    let (_, end) = read(answer).await;
    let Some(Err(BodyError::Inner(error))) = end else {
        panic!("it ends with the error of the body, and not with {end:?}");
    };
    assert_eq!(error.to_string(), "broken");
}
