//! The body of an answer to `HEAD`, which is never sent: it is dropped, and its length is kept.

use std::convert::Infallible;
use std::pin::Pin;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tower_task_tracker::{Outcome, TaskTrackerLayer, named, spawn};

use super::case::{Case, ten};
use crate::support::Act::Data;
use crate::support::{Frames, after, ms, observed, respond};

#[tokio::test(start_paused = true)]
async fn the_answer_to_head_does_not_wait_for_a_producer_without_a_reader() {
    let (log, layer) = observed();
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
    assert!(response.headers().is_empty(), "its length is not known");
    assert!(response.body().is_end_stream(), "no client is to get more");
    drop(response);
    assert_eq!(
        log.report().outcome,
        Outcome::Drained,
        "its drop is no disconnect"
    );
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_head_waits_for_what_its_unsent_body_spawns() {
    let (log, layer) = observed();
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
async fn the_complete_body_of_an_answer_to_head_is_dropped_too_and_its_length_is_sent() {
    let layer = TaskTrackerLayer::new();
    let response = respond(&layer, Method::HEAD, || {
        spawn(after(10));
        Full::new(Bytes::from_static(b"whole"))
    })
    .await;
    assert_eq!(response.headers()[CONTENT_LENGTH], "5");
    assert_eq!(response.body().size_hint().exact(), Some(0));
    assert!(response.body().is_end_stream());
    let body = response.into_body().collect().await.expect("no error");
    assert_eq!(body.to_bytes(), "", "no client is to get it");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_never_sent_is_dropped_when_its_head_was_held() {
    let layer = TaskTrackerLayer::new();
    let start = Instant::now();
    let response = respond(&layer, Method::HEAD, || {
        spawn(after(20));
        Frames::new(["a", "b"]).always_hints(2)
    })
    .await;
    assert_eq!(start.elapsed(), ms(20), "its head was held");
    assert_eq!(
        response.headers()[CONTENT_LENGTH],
        "2",
        "its length is sent"
    );
    let mut body = response.into_body();
    assert!(body.get_ref().is_none());
    assert!(body.get_mut().is_none());
    assert!(Pin::new(&mut body).get_pin_mut().is_none());
    assert_eq!(body.size_hint().exact(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn for_head_the_exact_length_is_written_unless_the_handler_wrote_one() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for (status, header, hint, written) in [
            (StatusCode::OK, None, Some(10), Some("10")),
            (StatusCode::OK, Some(7), Some(10), Some("7")),
            (StatusCode::OK, Some(7), None, Some("7")),
            (StatusCode::OK, None, None, None),
            (StatusCode::NO_CONTENT, None, Some(10), None),
            (StatusCode::NOT_MODIFIED, None, Some(10), None),
        ] {
            let case = Case {
                version,
                status,
                header,
                hint,
                ..ten(&[Data("0123456789")]).head()
            };
            let (body, reading) = case.body();
            let layer = TaskTrackerLayer::new();
            let response = case.respond(&layer, body, || drop(spawn(reading))).await;
            let length = response.headers().get(CONTENT_LENGTH);
            let length = length.map(|length| length.to_str().expect("digits"));
            assert_eq!(length, written, "{case:?}");
            assert!(response.body().is_end_stream(), "{case:?}");
            assert_eq!(response.body().size_hint().exact(), Some(0), "{case:?}");
            assert!(response.body().get_ref().is_none(), "{case:?}");
            assert!(!response.headers().contains_key(TRANSFER_ENCODING));
        }
    }
    let get = Case {
        status: StatusCode::NOT_MODIFIED,
        ..ten(&[Data("0123456789")])
    };
    let (body, reading) = get.body();
    let response = get
        .respond(&TaskTrackerLayer::new(), body, || drop(spawn(reading)))
        .await;
    assert!(
        !response.headers().contains_key(CONTENT_LENGTH),
        "it is for HEAD alone"
    );
    assert_eq!(get.method, Method::GET);
}

#[tokio::test(start_paused = true)]
async fn a_failed_answer_to_head_has_no_length_of_the_body_that_is_gone() {
    let case = ten(&[Data("0123456789")]).head();
    let (body, _) = case.body();
    let response = case
        .respond(&TaskTrackerLayer::new(), body, || {
            named("order").required().spawn(async {
                after(10).await;
                Err::<(), _>("out of stock")
            });
        })
        .await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!response.headers().contains_key(CONTENT_LENGTH));
}

#[tokio::test(start_paused = true)]
async fn for_head_a_length_of_zero_is_not_written() {
    let case = Case {
        method: Method::HEAD,
        ..Case::new("nothing, and no end", &[])
    };
    let case = case.hints(0);
    let (body, _) = case.body();
    let layer = TaskTrackerLayer::new();
    let response = case.respond(&layer, body, || drop(spawn(after(30)))).await;
    assert!(!response.headers().contains_key(CONTENT_LENGTH));
}
