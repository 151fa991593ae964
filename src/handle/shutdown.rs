//! The wait of a shutdown.

use std::pin::pin;

use tokio::time::{Instant, timeout_at};

use crate::deadline::schedule::DESTRUCTOR_TIME;
use crate::request::waiting::Waiting;

/// Waits until the process is idle, or until the end of the shutdown. Meanwhile `at_deadline` is applied to tasks that
/// no response waits for. At the end the remaining tasks are aborted, except for those that await a shutdown
/// themselves.
pub(crate) async fn shut_down(waiting: &Waiting<'_>, began: Instant) {
    let process = waiting.process();
    let waiters = process.waiters();
    loop {
        // Enabled before the registry is read, so that no change in between is missed.
        let mut changed = pin!(process.registry().changed());
        changed.as_mut().enable();
        let now = Instant::now();
        let Some(end) = process.closes_at().filter(|end| *end > now) else {
            break;
        };
        let mut next = end;
        let requests = process.registry().members();
        for request in &requests {
            // Its last task may have ended where no runtime could wait for its tokio-util tracker.
            request.leave_if_over();
            let spared = waiters.spared(request);
            next = next.min(request.step_of_shutdown(began, end, now, &spared));
        }
        // These may be the last references, and a request leaves the registry when it is dropped.
        drop(requests);
        if waiting.is_idle() {
            return;
        }
        let _ = timeout_at(next, changed).await;
    }
    // Twice, because the destructors of the aborted tasks may spawn. Each time the destructors get some time.
    for time in [DESTRUCTOR_TIME, DESTRUCTOR_TIME / 10] {
        for request in process.registry().members() {
            request.stop_all_except(&waiters.spared(&request));
        }
        let _ = timeout_at(Instant::now() + time, waiting.idle()).await;
    }
}
