//! `lambda_http` accepts the layer in both of its ways to answer, whatever the error type of the body is.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;

use axum::body::Bytes;
use futures_util::stream;
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use lambda_http::http::Response;
use lambda_http::{Body, IntoResponse, Request};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::TaskTrackerLayer;

type BoxError = Box<dyn Error + Send + Sync>;

#[test]
fn both_ways_to_answer_take_every_inner_error() {
    // The futures are not polled, because there is no runtime API here.
    fn are_taken<E: Into<BoxError> + Debug + Send + 'static>() {
        let service = service_fn(async |_: Request| {
            let frames = stream::empty::<Result<Frame<Bytes>, E>>();
            Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
        });
        let service = TaskTrackerLayer::new().layer(service);
        drop(lambda_http::run(service.clone()));
        drop(lambda_http::run_with_streaming_response(service));
    }
    are_taken::<Infallible>();
    are_taken::<BoxError>();
    are_taken::<axum::Error>();
    are_taken::<hyper::Error>();
}

#[tokio::test]
async fn a_whole_answer_is_converted() {
    let service = TaskTrackerLayer::new().layer(service_fn(async |_: Request| {
        let answer = Response::builder().header("content-type", "text/plain");
        answer.body(Full::new(Bytes::from("done")))
    }));
    let answer = service.oneshot(Request::new(Body::Empty)).await;
    let answer = answer.expect("its parts are valid").into_response().await;
    assert!(matches!(answer.body(), Body::Text(text) if text == "done"));
}
