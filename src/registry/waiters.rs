//! Code of tracked requests that waits for their own process: a shutdown, or idleness. It must not wait for
//! itself, nor for other code that waits so.
//!
//! 1. A wait is listed with where its code runs: as a task of a request, or as other code of it, such as its
//!    handler. That is looked up with each poll, since a handler may become a task.
//! 2. For a wait that is listed so, the process is idle when each request that it has is one in which such
//!    code waits, and has no other tasks alive. That does not depend on which wait it is: all of them are
//!    over at once. A wait from outside waits for these requests too.
//! 3. The request of a wait announces each end of a task: see `Live::attend`.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Registry;
use super::context::Context;
use super::process::Process;
use super::running::Running;

#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    waiters: Vec<Waiter>,
    /// The number of the next wait.
    next: u64,
    /// The tasks that have seen the end of a shutdown that they awaited.
    spared: Vec<(Weak<Registry>, u32)>,
}

/// Some code that waits.
#[derive(Debug)]
struct Waiter {
    number: u64,
    awaits: Awaits,
    place: Place,
    /// Nothing but such waits is left.
    is_over: bool,
}

/// Where it runs.
#[derive(Debug, Clone)]
struct Place {
    request: Arc<Registry>,
    /// `None` for code of the request that is no task.
    task: Option<u32>,
}

/// What it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaits {
    Idleness,
    /// The end of a shutdown, which does not abort the tasks that await it.
    Shutdown,
}

/// A wait for a process. Dropped, it is over.
pub(crate) struct Waiting<'a> {
    process: &'a Process,
    number: u64,
    awaits: Awaits,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(process: &'a Process, awaits: Awaits) -> Self {
        let number = {
            let mut list = process.waiters().lock();
            list.next += 1;
            list.next
        };
        process.roster().begin_wait();
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

    /// Waits until the process is idle, but for waits like this one. Cancel safe.
    pub(crate) async fn idle(&self) {
        loop {
            // Registered before the look, so that a change in between is not missed.
            let mut changed = pin!(self.process.roster().changed());
            changed.as_mut().enable();
            if self.is_idle() {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        let (waiters, roster) = (self.process.waiters(), self.process.roster());
        {
            let list = waiters.lock();
            let own = list.waiters.iter().find(|w| w.number == self.number);
            let Some(own) = own else {
                return roster.len() == 0;
            };
            if own.is_over {
                return true;
            }
            if roster.len() > list.waiters.len() {
                return false;
            }
        }
        let requests = roster.members();
        let mut trackers = Vec::new();
        let is_over = {
            let mut list = waiters.lock();
            let is_over = requests.iter().all(|request| {
                let waiting = list.tasks_of(request);
                // Looked at once: what ends after this look is announced.
                let anonymous = request.alive_in_tracker();
                if anonymous > 0 && waiting.is_some() {
                    trackers.push(request);
                }
                waiting.is_some_and(|waiting| {
                    anonymous + request.alive_here() <= waiting && !request.tells()
                })
            });
            if is_over {
                list.waiters.iter_mut().for_each(|w| w.is_over = true);
            }
            is_over
        };
        if is_over {
            roster.announce();
        } else {
            // No end is announced of a task in a tokio-util tracker.
            for request in trackers {
                request.leave_when_empty();
            }
        }
        is_over
    }

    /// The wait has come to its end.
    pub(crate) fn ended(self) {
        if self.awaits == Awaits::Shutdown {
            self.process.waiters().lock().spare_from_now_on(self.number);
        }
    }

    /// Lists where the code runs that polls this, if that is new. A place stays listed: a wait that several tasks
    /// drive in turn would move and announce without end.
    fn locate(&self) {
        let places = places(self.process);
        let waiters = self.process.waiters();
        let new: Vec<Place> = {
            let mut list = waiters.lock();
            let own = || list.waiters.iter().filter(|w| w.number == self.number);
            let is_new = |place: &Place| own().all(|w| w.place != *place);
            let new: Vec<Place> = places.into_iter().filter(is_new).collect();
            if new.is_empty() {
                return;
            }
            let is_over = own().any(|w| w.is_over);
            list.waiters.extend(new.iter().map(|place| Waiter {
                number: self.number,
                awaits: self.awaits,
                place: place.clone(),
                is_over,
            }));
            self.process.roster().attend(list.waiters.len());
            new
        };
        for place in &new {
            place.request.attend();
        }
        // What it waits for may be less than before.
        self.process.roster().announce();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.process.roster().end_wait();
        let own: Vec<Waiter> = {
            let mut list = self.process.waiters().lock();
            let own = list.take(self.number);
            self.process.roster().attend(list.waiters.len());
            own
        };
        // Outside of the lock: it may be the last one.
        drop(own);
    }
}

impl Waiters {
    /// The tasks of a request that the end of a shutdown does not abort.
    pub(crate) fn spared(&self, request: &Arc<Registry>) -> Vec<u32> {
        let list = self.lock();
        let waiting = list.waiters.iter();
        let waiting = waiting.filter(|waiter| waiter.awaits == Awaits::Shutdown);
        let waiting = waiting.filter_map(|waiter| waiter.place.task_of(request));
        let spared = list.spared.iter();
        let spared = spared.filter(|(other, _)| other.as_ptr() == Arc::as_ptr(request));
        waiting.chain(spared.map(|(_, task)| *task)).collect()
    }

    /// The tasks of a request that are waiting.
    pub(crate) fn of(&self, request: &Arc<Registry>) -> Vec<u32> {
        let list = self.lock();
        let waiting = list.waiters.iter();
        waiting.filter_map(|w| w.place.task_of(request)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn take(&mut self, number: u64) -> Vec<Waiter> {
        let all = std::mem::take(&mut self.waiters);
        let (own, others) = all.into_iter().partition(|w| w.number == number);
        self.waiters = others;
        own
    }

    /// How many tasks of this request wait; `None` if no code of it does.
    fn tasks_of(&self, request: &Arc<Registry>) -> Option<usize> {
        let here = |waiter: &&Waiter| Arc::ptr_eq(&waiter.place.request, request);
        let mut here = self.waiters.iter().filter(here).peekable();
        here.peek()?;
        let mut tasks: Vec<u32> = here.filter_map(|waiter| waiter.place.task).collect();
        tasks.sort_unstable();
        // One task may wait in several ways.
        tasks.dedup();
        Some(tasks.len())
    }

    fn spare_from_now_on(&mut self, number: u64) {
        let Self {
            waiters,
            next: _,
            spared,
        } = self;
        spared.retain(|(request, _)| request.strong_count() > 0);
        let own = waiters.iter().filter(|waiter| waiter.number == number);
        for Place { request, task } in own.map(|waiter| &waiter.place) {
            spared.extend(task.map(|task| (Arc::downgrade(request), task)));
        }
    }
}

impl Place {
    /// The task, if it is one of this request.
    fn task_of(&self, request: &Arc<Registry>) -> Option<u32> {
        self.task.filter(|_| Arc::ptr_eq(&self.request, request))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.request, &other.request) && self.task == other.task
    }
}

/// Where the running code is, among the requests of this process: in the tasks that run, and in the requests that are
/// current, from the innermost to the outermost.
fn places(process: &Process) -> Vec<Place> {
    let all = Running::all();
    let current = Context::current().into_registry();
    let current = current.filter(|request| std::ptr::eq(&**request.process(), process));
    let is_current =
        |request: &Registry| current.as_deref().is_some_and(|c| std::ptr::eq(c, request));
    // A task that runs is alive, so that its request is listed.
    let mut requests = match &current {
        Some(current) if all.iter().all(|running| running.is_in(current)) => Vec::new(),
        _ if all.is_empty() => Vec::new(),
        _ => process.roster().members(),
    };
    requests
        .retain(|request| !is_current(request) && all.iter().any(|running| running.is_in(request)));
    requests.extend(current);
    requests
        .into_iter()
        .flat_map(|request| {
            let tasks = all.iter().filter_map(|running| running.task_of(&request));
            let mut tasks: Vec<Option<u32>> = tasks.map(Some).collect();
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
