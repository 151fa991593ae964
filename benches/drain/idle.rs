//! A request that spawns nothing: what layers add to it.

use std::convert::Infallible;

use bytes::Bytes;
use criterion::Criterion;
use http::{Request, StatusCode};
use http_body_util::Empty;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::metrics::InFlightRequestsLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::contender::Contender;
use crate::contenders::{TIMEOUT, add_extension, answer, bare, handler, ours_idle};
use crate::group::Group;

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = Group::on_one_thread(criterion, "idle");
    group.measure("bare", &bare());
    group.measure("AddExtensionLayer", &add_extension());
    group.measure("InFlightRequestsLayer", &in_flight_requests());
    group.measure("TimeoutLayer", &timeout());
    group.measure("TraceLayer", &trace());
    group.measure("ours", &ours_idle());
}

fn in_flight_requests() -> Contender {
    Contender::new(InFlightRequestsLayer::pair().0.layer(handler()))
}

fn timeout() -> Contender {
    let layer = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, TIMEOUT);
    Contender::new(layer.layer(handler()))
}

/// Returns a `TraceLayer` without a subscriber to its spans. The layer requires that the request has a body.
fn trace() -> Contender {
    let handler = service_fn(|_: Request<Empty<Bytes>>| async { Ok::<_, Infallible>(answer()) });
    let traced = TraceLayer::new_for_http().layer(handler);
    Contender::new(traced.map_request(|request: Request<()>| request.map(|()| Empty::new())))
}
