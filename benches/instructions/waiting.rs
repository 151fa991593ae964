//! Requests whose tasks wait once.

use std::future::poll_fn;
use std::task::Poll;

use tokio::task::yield_now;
use tower_task_tracker::TaskTrackerLayer;

use crate::contender::Contender;
use crate::contenders::{join_set_with, ours_with};

/// Returns the layer with tasks that wait until no other task is ready.
pub(crate) fn ours_waiting(tasks: usize) -> Contender {
    ours_with(&TaskTrackerLayer::new(), tasks, yield_now)
}

pub(crate) fn join_set_waiting(tasks: usize) -> Contender {
    join_set_with(tasks, yield_now)
}

/// Returns the layer with tasks that wake themselves before they wait. So a task runs again after the tasks that are
/// ready at that moment.
pub(crate) fn ours_woken(tasks: usize) -> Contender {
    ours_with(&TaskTrackerLayer::new(), tasks, wake_and_wait)
}

pub(crate) fn join_set_woken(tasks: usize) -> Contender {
    join_set_with(tasks, wake_and_wait)
}

async fn wake_and_wait() {
    let mut waited = false;
    poll_fn(|cx| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
