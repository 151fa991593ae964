//! `is_end_stream`, `size_hint` and `get_ref` of a response body, while it is held and at its end.

use std::convert::Infallible;
use std::pin::Pin;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body, SizeHint};
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, ResponseBody, TaskTrackerLayer, scope, spawn};

use crate::support::{Frames, after, ms, request, respond};

#[tokio::test(start_paused = true)]
async fn a_body_that_is_polled_after_its_end_is_still_at_its_end() {
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
async fn while_its_end_is_held_a_body_is_not_at_its_end() {
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
async fn the_size_hint_of_a_body_is_passed_on_also_if_it_never_changes() {
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
