//! Requests with empty tasks: by hand, and with the layer.

use std::convert::Infallible;

use criterion::Criterion;
use http::Request;
use tokio_util::task::TaskTracker;
use tower::service_fn;

use crate::contender::Contender;
use crate::contenders::{answer, join_set, ours, ours_free, task_tracker};
use crate::group::Group;

const TASKS: [usize; 5] = [0, 1, 4, 16, 64];

pub(crate) fn measure(criterion: &mut Criterion) {
    of(&mut Group::on_one_thread(criterion, "tasks/one thread"));
    of(&mut Group::on_many_threads(criterion, "tasks/many threads"));
}

fn of(group: &mut Group<'_>) {
    for tasks in TASKS {
        let mut measure = |name: &str, contender| group.measure_with(tasks, name, &contender);
        measure("TaskTracker", task_tracker_without_limit(tasks));
        measure("TaskTracker + timeout", task_tracker(tasks));
        measure("JoinSet + timeout + abort_all", join_set(tasks));
        measure("ours, by Tasks", ours(tasks));
        measure("ours, by spawn()", ours_free(tasks));
    }
}

/// Returns a handler that waits by hand without a limit: if a task hangs, so does the response.
fn task_tracker_without_limit(tasks: usize) -> Contender {
    let handler = service_fn(move |_: Request<()>| async move {
        let tracker = TaskTracker::new();
        for _ in 0..tasks {
            tracker.spawn(async {});
        }
        tracker.close();
        tracker.wait().await;
        Ok::<_, Infallible>(answer())
    });
    Contender::new(handler)
}
