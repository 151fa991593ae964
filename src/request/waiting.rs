//! Code of tracked requests that waits for its own process: a shutdown, or idleness. It must not wait for
//! itself, nor for other code that waits so.
//!
//! 1. A wait is listed with where its code runs: as a task of a request, or as other code of it, such as its
//!    handler. That is looked up with each poll, since a handler may become a task.
//! 2. For a wait that is listed so, the process is idle when each request that it has is one in which such
//!    code waits, and has no other tasks alive. That does not depend on which wait it is: all of them are
//!    over at once. A wait from outside waits for these requests too.
//! 3. The request of a wait announces each end of a task: see [`State::announce_ends`](super::state::State::announce_ends).

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use super::context::{Context, Running};
use super::{Process, Request};
use crate::process::waiters::{Awaits, Place};

/// A wait for a process, until this is dropped.
pub(crate) struct Waiting<'a> {
    process: &'a Process,
    number: u64,
    awaits: Awaits,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(process: &'a Process, awaits: Awaits) -> Self {
        let number = process.waiters().begin();
        process.registry().begin_wait();
        Self {
            process,
            number,
            awaits,
        }
    }

    pub(crate) fn process(&self) -> &'a Process {
        self.process
    }

    /// Runs the code of the wait, wherever it is polled.
    pub(crate) async fn during<F: Future>(&self, code: F) -> F::Output {
        let mut code = pin!(code);
        poll_fn(|cx| {
            self.locate();
            code.as_mut().poll(cx)
        })
        .await
    }

    /// Waits until the process is idle, except for waits like this one. Cancel safe.
    pub(crate) async fn idle(&self) {
        loop {
            // Registered before the look, so that a change in between is not missed.
            let mut changed = pin!(self.process.registry().changed());
            changed.as_mut().enable();
            if self.is_idle() {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        let (waiters, registry) = (self.process.waiters(), self.process.registry());
        {
            let list = waiters.lock();
            match list.is_over(self.number) {
                None => return registry.is_empty(),
                Some(true) => return true,
                Some(false) if registry.len() > list.len() => return false,
                Some(false) => {}
            }
        }
        // A join in between is announced, and this looks again.
        let (requests, are_all) = registry.members_at_once();
        let mut with_tracker = Vec::new();
        let is_over = are_all && {
            let mut list = waiters.lock();
            let is_over = requests.iter().all(|request| {
                let Some(waiting) = list.tasks_of(request) else {
                    return false;
                };
                // Read once: what ends after this is announced.
                let in_tracker = request.alive_in_tracker();
                if in_tracker > 0 {
                    with_tracker.push(request);
                }
                request.is_idle_except_for(waiting.saturating_sub(in_tracker))
                    && in_tracker <= waiting
            });
            if is_over {
                list.end_all();
            }
            is_over
        };
        if is_over {
            registry.announce();
        } else {
            // tokio-util announces no end of a task.
            for request in with_tracker {
                request.spawn_tracker_wait();
            }
        }
        is_over
    }

    /// Ends a wait that was not dropped before its end.
    pub(crate) fn ended(self) {
        if self.awaits == Awaits::Shutdown {
            let mut list = self.process.waiters().lock();
            list.spare_from_now_on(self.number);
        }
    }

    /// Lists where the code runs that polls this, if that is new. A place stays listed: otherwise a wait that several
    /// tasks poll in turn would move and announce without end.
    fn locate(&self) {
        let places = places(self.process);
        let new = {
            let mut list = self.process.waiters().lock();
            let new = list.locate(self.number, self.awaits, places);
            if new.is_empty() {
                return;
            }
            self.process.registry().set_waiters(list.len());
            new
        };
        for request in &new {
            request.announce_ends();
        }
        // What it waits for may be less than before.
        self.process.registry().announce();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.process.registry().end_wait();
        let own = {
            let mut list = self.process.waiters().lock();
            let own = list.take(self.number);
            self.process.registry().set_waiters(list.len());
            own
        };
        drop(own);
    }
}

/// Where the running code is, among the requests of this process: in the tasks that run, and in the requests that are
/// current, from the innermost to the outermost.
fn places(process: &Process) -> Vec<Place<Request>> {
    let all = Running::all();
    let current = Context::current().into_request();
    let current = current.filter(|request| std::ptr::eq(&**request.process(), process));
    let is_current =
        |request: &Request| current.as_deref().is_some_and(|c| std::ptr::eq(c, request));
    // A task that runs is alive, so that its request is listed.
    let mut requests = match &current {
        Some(current) if all.iter().all(|running| running.is_in(current)) => Vec::new(),
        _ if all.is_empty() => Vec::new(),
        _ => process.registry().members(),
    };
    requests
        .retain(|request| !is_current(request) && all.iter().any(|running| running.is_in(request)));
    requests.extend(current);
    requests
        .into_iter()
        .flat_map(|request: Arc<Request>| {
            let tasks = all.iter().filter_map(|running| running.task_of(&request));
            let mut tasks: Vec<Option<u32>> = tasks.map(|task| Some(task.id)).collect();
            if tasks.is_empty() {
                tasks.push(None);
            }
            tasks.into_iter().map(move |task| Place {
                request: request.clone(),
                task,
            })
        })
        .collect()
}
