//! A body of many frames, and no tasks: what a layer adds to a frame.

use criterion::Criterion;
use tower::Layer;
use tower_http::metrics::InFlightRequestsLayer;
use tower_task_tracker::TaskTrackerLayer;

use crate::contender::Contender;
use crate::frames::stream;
use crate::group::Group;

const FRAMES: usize = 1_000;

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = Group::on_one_thread(criterion, "stream, each frame");
    group.elements_of_a_request(FRAMES as u64);
    group.measure("bare", &Contender::new(stream(FRAMES)));
    let in_flight_requests = InFlightRequestsLayer::pair().0.layer(stream(FRAMES));
    let in_flight_requests = Contender::new(in_flight_requests);
    group.measure("InFlightRequestsLayer", &in_flight_requests);
    let ours = TaskTrackerLayer::new().layer(stream(FRAMES));
    group.measure("ours", &Contender::new(ours));
}
