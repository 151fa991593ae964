//! The wait of a process for all of its requests.

use std::pin::pin;

use tokio::time::{Instant, timeout_at};

use super::schedule::{DESTRUCTORS, Schedule};
use crate::registry::waiters::Waiting;

/// Waits until the process is idle, or the shutdown is to be over. Tasks that no response waits for are
/// treated by `at_deadline`, and what is left at the end is aborted, except for tasks that await this themselves.
pub(crate) async fn shut_down(waiting: &Waiting<'_>, began: Instant) {
    let process = waiting.process();
    let waiters = process.waiters();
    loop {
        // Registered before the look, so that a change in between is not missed.
        let mut changed = pin!(process.roster().changed());
        changed.as_mut().enable();
        let now = Instant::now();
        let Some(end) = process.closes_at().filter(|end| *end > now) else {
            break;
        };
        let mut next = end;
        let requests = process.roster().members();
        for request in &requests {
            // It may have ended where there was no runtime to wait for the rest of it.
            request.leave_if_over();
            // The drain of an open window keeps its own time.
            if request.has_open_window() {
                continue;
            }
            let schedule = Schedule::at_deadline(began, end, request.at_deadline());
            if schedule.cancel.is_some_and(|at| at <= now) {
                request.cancel();
            }
            // Before its release a request has a window still to come.
            let has_window = !request.is_released() && !request.is_process();
            if schedule.abort.is_some_and(|at| at <= now) && !has_window {
                request.abort_all_but(&waiters.spared(request));
            }
            next = next.min(schedule.next(now));
        }
        // The last one may leave with us.
        drop(requests);
        if waiting.is_idle() {
            return;
        }
        let _ = timeout_at(next, changed).await;
    }
    // Twice: destructors may spawn, and have their time.
    for patience in [DESTRUCTORS, DESTRUCTORS / 10] {
        for request in process.roster().members() {
            request.cancel();
            request.abort_all_but(&waiters.spared(&request));
        }
        let _ = timeout_at(Instant::now() + patience, waiting.idle()).await;
    }
}
