//! Layers that read a body to its end, or that replace it.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::ServiceBuilder;
use tower_task_tracker::Outcome;

use super::handlers::{stream, text};
use super::{WORK, answer, observed};
use crate::support::Log;

/// As it is done to sign a body, or to log it.
async fn collect<B>(response: Response<B>) -> Result<Response<Full<Bytes>>, Infallible>
where
    B: Body<Data = Bytes>,
{
    let (head, body) = response.into_parts();
    let Ok(all) = body.collect().await else {
        panic!("the body does not fail");
    };
    Ok(Response::from_parts(head, Full::from(all.to_bytes())))
}

fn replace<B>(response: Response<B>) -> Response<Full<Bytes>> {
    response.map(|_| Full::default())
}

#[tokio::test(start_paused = true)]
async fn a_layer_outside_that_collects_the_body_waits_for_its_held_end() {
    let log = Log::default();
    let stack = ServiceBuilder::new()
        .and_then(collect)
        .layer(observed(&log));
    let (_, took) = answer(stack.service(stream())).await;
    assert_eq!(took, WORK, "nothing goes out before");
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_layer_inside_that_collects_the_body_has_the_head_held() {
    let log = Log::default();
    let stack = ServiceBuilder::new()
        .layer(observed(&log))
        .and_then(collect);
    let (_, took) = answer(stack.service(stream())).await;
    assert_eq!(took, WORK);
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_layer_outside_that_replaces_the_body_drops_a_held_end_and_changes_no_held_head() {
    let log = Log::default();
    let stack = ServiceBuilder::new().map_response(replace);
    let (_, took) = answer(stack.layer(observed(&log)).service(stream())).await;
    assert_eq!(took, Duration::ZERO);
    assert_eq!(log.report().outcome, Outcome::Dropped);

    let log = Log::default();
    let stack = ServiceBuilder::new().map_response(replace);
    let held = stack.layer(observed(&log)).service(text(Duration::ZERO));
    assert_eq!(answer(held).await.1, WORK);
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_layer_inside_that_replaces_the_body_has_the_new_one_held() {
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(observed(&log));
    let stack = stack.map_response(replace).service(stream());
    assert_eq!(answer(stack).await.1, WORK, "it is there as a whole");
    assert_eq!(log.report().outcome, Outcome::Drained);
}
