//! The wait of a process for all of its requests.

use std::pin::pin;

use tokio::time::{Instant, timeout_at};

use crate::deadline::schedule::DESTRUCTORS;
use crate::request::waiting::Waiting;

/// Waits until the process is idle, or the shutdown is to be over. Tasks that no response waits for are
/// treated by `at_deadline`, and what is left at the end is aborted, except for tasks that await this themselves.
pub(crate) async fn shut_down(waiting: &Waiting<'_>, began: Instant) {
    let process = waiting.process();
    let waiters = process.waiters();
    loop {
        // Registered before the look, so that a change in between is not missed.
        let mut changed = pin!(process.registry().changed());
        changed.as_mut().enable();
        let now = Instant::now();
        let Some(end) = process.closes_at().filter(|end| *end > now) else {
            break;
        };
        let mut next = end;
        let requests = process.registry().members();
        for request in &requests {
            // It may have ended where there was no runtime to wait for the rest of it.
            request.leave_if_over();
            let spared = waiters.spared(request);
            next = next.min(request.step_of_shutdown(began, end, now, &spared));
        }
        // These may be the last references: a request leaves the registry when it is dropped.
        drop(requests);
        if waiting.is_idle() {
            return;
        }
        let _ = timeout_at(next, changed).await;
    }
    // Twice: destructors may spawn, and have their time.
    for patience in [DESTRUCTORS, DESTRUCTORS / 10] {
        for request in process.registry().members() {
            request.stop_all_but(&waiters.spared(&request));
        }
        let _ = timeout_at(Instant::now() + patience, waiting.idle()).await;
    }
}
