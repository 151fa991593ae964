//! The request's id: the tracker uses the id that the request has when it arrives there.

use std::convert::Infallible;
use std::time::Duration;

use http::{HeaderValue, Request, Response, StatusCode};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::request_id::{
    MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer,
};
use tower_task_tracker::{TaskTrackerLayer, TrackerHandle};

use super::handlers::{leave_work_behind, text};
use super::{LIMIT, NoBody, answer, request};
use crate::support::{Body, full, ms};

const ID: &str = "x-request-id";

/// Gives every request the same id.
#[derive(Debug, Clone)]
struct Seven;

impl MakeRequestId for Seven {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        Some(RequestId::new(HeaderValue::from_static("7")))
    }
}

fn set() -> SetRequestIdLayer<Seven> {
    SetRequestIdLayer::x_request_id(Seven)
}

fn propagate() -> PropagateRequestIdLayer {
    PropagateRequestIdLayer::x_request_id()
}

/// A handler that gets the id from any layer.
fn identified() -> impl Service<
    Request<NoBody>,
    Response = Response<Body>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send,
> + Clone
+ Send
+ 'static {
    service_fn(async |request: Request<NoBody>| {
        assert_eq!(request.headers()[ID], "7");
        leave_work_behind();
        Ok(full("done"))
    })
}

/// The request id of the task in the handle's snapshot.
async fn id_seen<S>(service: S, request: Request<NoBody>, handle: &TrackerHandle) -> Option<String>
where
    S: Service<Request<NoBody>, Response: Send, Error: Send, Future: Send> + Send + 'static,
{
    let held = tokio::spawn(service.oneshot(request));
    tokio::time::sleep(ms(1)).await;
    let [task] = &handle.snapshot()[..] else {
        panic!("one task: {:?}", handle.snapshot());
    };
    let id = task.request_id.clone();
    assert!(held.await.expect("no panic").is_ok());
    id
}

#[tokio::test(start_paused = true)]
async fn the_handle_has_an_id_that_is_set_outside_and_none_that_is_set_inside() {
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    let outside = ServiceBuilder::new().layer(set()).layer(layer.clone());
    let seen = id_seen(outside.service(identified()), request(), &handle).await;
    assert_eq!(seen.as_deref(), Some("7"));

    let inside = ServiceBuilder::new().layer(layer).layer(set());
    let seen = id_seen(inside.service(identified()), request(), &handle).await;
    assert_eq!(seen, None);
}

#[tokio::test(start_paused = true)]
async fn the_handle_has_an_id_that_the_request_came_with_in_both_orders() {
    let came_with = || {
        let mut request = request();
        request.headers_mut().insert(ID, seven());
        request
    };
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    let outside = ServiceBuilder::new().layer(set()).layer(layer.clone());
    let seen = id_seen(outside.service(identified()), came_with(), &handle).await;
    assert_eq!(seen.as_deref(), Some("7"));
    let inside = ServiceBuilder::new().layer(layer).layer(set());
    let seen = id_seen(inside.service(identified()), came_with(), &handle).await;
    assert_eq!(seen.as_deref(), Some("7"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_at_the_deadline_has_its_id_in_both_orders() {
    let late = StatusCode::GATEWAY_TIMEOUT;
    let layer = TaskTrackerLayer::new().drain_timeout(LIMIT);
    let layer = layer.deadline_status(late);
    let outside = ServiceBuilder::new().layer((set(), propagate(), layer.clone()));
    let (outside, _) = answer(outside.service(text(Duration::ZERO))).await;
    let inside = ServiceBuilder::new().layer((set(), layer, propagate()));
    let (inside, _) = answer(inside.service(text(Duration::ZERO))).await;
    for answer in [outside, inside] {
        assert_eq!((answer.status(), &answer.headers()[ID]), (late, &seven()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_has_its_id_only_from_outside() {
    let layer = TaskTrackerLayer::new().max_live_tasks(0);
    let outside = ServiceBuilder::new().layer((set(), propagate(), layer.clone()));
    let (refused, _) = answer(outside.service(text(Duration::ZERO))).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers().get(ID), Some(&seven()));

    let inside = ServiceBuilder::new().layer((set(), layer, propagate()));
    let (refused, _) = answer(inside.service(text(Duration::ZERO))).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers().get(ID), None);
}

fn seven() -> HeaderValue {
    HeaderValue::from_static("7")
}
