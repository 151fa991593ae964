//! Code of a tracked request that waits for its own process: for a shutdown, or until the process is idle. Such a wait
//! must wait neither for itself nor for other such waits.
//!
//! 1. A wait is listed with the place where its code runs: a task of a request, or other code of it, such as its
//!    handler. Each poll looks the place up, because a handler may become a task.
//! 2. For a listed wait, the process is idle if two conditions are true for each of its requests: code that waits like
//!    this runs in the request, and no other task of the request is alive. This is the same for all listed waits, so
//!    all of them end at once. A wait outside of any request waits for these requests too.
//! 3. The request of a wait announces each end of a task: see
//!    [`State::announce_ends`](super::state::State::announce_ends).

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use super::context::{Context, Running};
use super::{Process, Request};
use crate::process::waiters::{Awaits, Place};

/// A wait for a process. It ends when this is dropped.
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

    /// Runs the code of the wait. Each poll lists the place where it is polled.
    pub(crate) async fn during<F: Future>(&self, code: F) -> F::Output {
        let mut code = pin!(code);
        poll_fn(|cx| {
            self.locate();
            code.as_mut().poll(cx)
        })
        .await
    }

    /// Waits until the process is idle, except for waits like this one.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub(crate) async fn idle(&self) {
        loop {
            // Registered before the look, so that no change in between is missed.
            let mut changed = pin!(self.process.registry().changed());
            changed.as_mut().enable();
            if self.is_idle() {
                return;
            }
            changed.await;
        }
    }

    /// Returns whether the process is idle, except for waits like this one.
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
        // A join in between is announced, and then this looks again.
        let (requests, are_all) = registry.members_at_once();
        let mut with_tracker = Vec::new();
        let is_over = are_all && {
            let mut list = waiters.lock();
            let is_over = requests.iter().all(|request| {
                let Some(waiting) = list.tasks_of(request) else {
                    return false;
                };
                // Read once. If a task ends after this, that is announced.
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
            // tokio-util does not announce the end of a task.
            for request in with_tracker {
                request.spawn_tracker_wait();
            }
        }
        is_over
    }

    /// Ends a wait that has reached its end. After a shutdown, the tasks of this wait are spared from now on.
    pub(crate) fn ended(self) {
        if self.awaits == Awaits::Shutdown {
            let mut list = self.process.waiters().lock();
            list.spare_from_now_on(self.number);
        }
    }

    /// Lists the place where the running code is, if that is new. A place stays listed. Otherwise, if several tasks
    /// poll a wait in turn, it would move and announce without end.
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
        // This wait may now wait for less than before.
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

/// Returns the places where the running code is, among the requests of this process: the running tasks, and the
/// requests whose contexts are entered.
fn places(process: &Process) -> Vec<Place<Request>> {
    let all = Running::all();
    let current = Context::current().into_request();
    let current = current.filter(|request| std::ptr::eq(&**request.process(), process));
    let is_current =
        |request: &Request| current.as_deref().is_some_and(|c| std::ptr::eq(c, request));
    // A running task is alive, so its request is listed.
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
