//! A response that is held for one empty task: at its head, and at its end.

use std::convert::Infallible;

use criterion::Criterion;
use http::{Request, Response};
use tokio_util::task::TaskTracker;
use tower::{Layer, service_fn};
use tower_task_tracker::{TaskTrackerLayer, Tasks};

use crate::contender::Contender;
use crate::contenders::{ours, task_tracker};
use crate::frames::Frames;
use crate::group::Group;
use crate::streaming::HeldEnd;

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = Group::on_one_thread(criterion, "held");
    group.measure("head, TaskTracker + timeout", &task_tracker(1));
    group.measure("head, ours", &ours(1));
    group.measure("end, TaskTracker + timeout", &end_by_hand());
    group.measure("end, ours", &end());
}

fn end_by_hand() -> Contender {
    let handler = service_fn(|_: Request<()>| async {
        let tracker = TaskTracker::new();
        tracker.spawn(async {});
        Ok::<_, Infallible>(Response::new(HeldEnd::new(Frames(1), tracker)))
    });
    Contender::new(handler)
}

/// Returns a contender whose body streams, so that the layer holds the end and not the head.
fn end() -> Contender {
    let handler = service_fn(|request: Request<()>| async move {
        let own: &Tasks = request.extensions().get().expect("the layer's");
        own.spawn(async {});
        Ok::<_, Infallible>(Response::new(Frames(1)))
    });
    Contender::new(TaskTrackerLayer::new().layer(handler))
}
