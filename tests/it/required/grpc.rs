//! A gRPC call whose required task fails has the status 13 (`INTERNAL`).

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::StreamBody;
use tower_task_tracker::Hold;

use super::begun_bodies::{answer, fails_later, read};
use crate::support::Frames;

/// A gRPC answer of one message, with these trailers.
fn grpc(status: Option<&'static str>) -> Response<impl Body<Data = Bytes, Error = Infallible>> {
    let mut frames = vec![Ok(Frame::data(Bytes::from("message")))];
    frames.extend(status.map(|status| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static(status));
        trailers.insert("grpc-status-details-bin", HeaderValue::from_static("AA"));
        trailers.insert("cost", HeaderValue::from_static("7"));
        Ok(Frame::trailers(trailers))
    }));
    let mut answer = Response::new(StreamBody::new(stream::iter(frames)));
    let grpc = HeaderValue::from_static("application/grpc+proto");
    answer.headers_mut().insert(CONTENT_TYPE, grpc);
    answer
}

#[tokio::test(start_paused = true)]
async fn withheld_grpc_trailers_get_the_status_of_a_failure() {
    let (data, end) = read(answer(Hold::End, grpc(Some("0")), fails_later).await).await;
    assert_eq!(data, ["message"]);
    let Some(Ok(trailers)) = end else {
        panic!("no trailers: {end:?}");
    };
    assert_eq!(trailers["grpc-status"], "13");
    let message = trailers["grpc-message"].to_str();
    assert!(message.is_ok_and(|message| message.contains("failed")));
    assert!(!trailers.contains_key("grpc-status-details-bin"));
    assert_eq!(trailers["cost"], "7", "the others stay");
}

#[tokio::test(start_paused = true)]
async fn a_grpc_call_without_trailers_gets_some() {
    let (data, end) = read(answer(Hold::End, grpc(None), fails_later).await).await;
    assert_eq!(data, ["message"]);
    let trailers = end.and_then(Result::ok).unwrap_or_default();
    assert_eq!(trailers["grpc-status"], "13", "and no reset");
}

#[tokio::test(start_paused = true)]
async fn a_grpc_call_that_has_failed_already_keeps_its_status() {
    let (_, end) = read(answer(Hold::End, grpc(Some("5")), fails_later).await).await;
    let trailers = end.and_then(Result::ok).unwrap_or_default();
    assert_eq!(trailers["grpc-status"], "5");
    assert_eq!(trailers["grpc-status-details-bin"], "AA");
}

#[tokio::test(start_paused = true)]
async fn a_held_grpc_head_becomes_an_answer_of_trailers_only() {
    let mut of_known_length = grpc(Some("0"));
    let length = HeaderValue::from_static("7");
    of_known_length.headers_mut().insert(CONTENT_LENGTH, length);
    let answer = answer(Hold::Auto, of_known_length, fails_later).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.headers().contains_key(CONTENT_LENGTH));
    assert_eq!(answer.headers()["content-type"], "application/grpc+proto");
    assert_eq!(answer.headers()["grpc-status"], "13");
    assert!(answer.body().is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn only_grpc_as_such_gets_its_form() {
    for (content_type, is_grpc) in [
        ("application/grpc", true),
        ("Application/GRPC;charset=x", true),
        ("application/grpc-web", false),
        ("application/grpcx", false),
        ("text/plain", false),
    ] {
        let mut response = Response::new(Frames::new(["a"]));
        let value = HeaderValue::from_static(content_type);
        response.headers_mut().insert(CONTENT_TYPE, value);
        let answer = answer(Hold::Auto, response, fails_later).await;
        let status = answer.headers().contains_key("grpc-status");
        assert_eq!(status, is_grpc, "{content_type}");
    }
}
