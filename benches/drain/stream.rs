//! A body of many frames, and no tasks: what a layer adds to a frame.

use std::convert::Infallible;

use criterion::Criterion;
use http::{Request, Response};
use tower::{Layer, service_fn};
use tower_http::metrics::InFlightRequestsLayer;
use tower_task_tracker::TaskTrackerLayer;

use crate::contender::Contender;
use crate::group::Group;
use crate::streaming::Frames;

const FRAMES: usize = 1_000;

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = Group::on_one_thread(criterion, "stream, each frame");
    group.elements_of_a_request(FRAMES as u64);
    let stream = || service_fn(|_: Request<()>| async { Ok::<_, Infallible>(response()) });
    group.measure("bare", &Contender::new(stream()));
    let in_flight_requests = InFlightRequestsLayer::pair().0.layer(stream());
    let in_flight_requests = Contender::new(in_flight_requests);
    group.measure("InFlightRequestsLayer", &in_flight_requests);
    let ours = TaskTrackerLayer::new().layer(stream());
    group.measure("ours", &Contender::new(ours));
}

fn response() -> Response<Frames> {
    Response::new(Frames(FRAMES))
}
