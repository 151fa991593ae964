//! A complete body has its head held.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskTrackerLayer, spawn};

use crate::support::{after, ms, request};

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

/// A body with an exact length of five.
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
