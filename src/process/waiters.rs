//! The list of the code in tracked requests that waits for the process itself.

use std::sync::{Arc, Weak};

use crate::sync::{Mutex, MutexGuard};

#[derive(Debug)]
pub(crate) struct Waiters<R>(Mutex<List<R>>);

#[derive(Debug)]
pub(crate) struct List<R> {
    waiters: Vec<Waiter<R>>,
    /// The number of the wait that began last.
    last_number: u64,
    /// The tasks that awaited a shutdown until its end. Later shutdowns do not abort them.
    spared: Vec<(Weak<R>, u32)>,
}

/// Code that waits, at one of the places where it was polled.
#[derive(Debug)]
pub(crate) struct Waiter<R> {
    number: u64,
    awaits: Awaits,
    place: Place<R>,
    /// True once nothing is alive except for such waits.
    is_over: bool,
}

/// A place where code runs.
#[derive(Debug)]
pub(crate) struct Place<R> {
    pub(crate) request: Arc<R>,
    /// The id of the task; `None` for other code of the request.
    pub(crate) task: Option<u32>,
}

/// What a wait waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaits {
    /// That the process is idle.
    Idleness,
    /// The end of a shutdown. A shutdown does not abort the tasks that await it.
    Shutdown,
}

impl<R> Waiters<R> {
    /// Begins a wait, and returns its number.
    pub(crate) fn begin(&self) -> u64 {
        let mut list = self.lock();
        list.last_number += 1;
        list.last_number
    }

    /// Returns the tasks of a request that the end of a shutdown does not abort.
    pub(crate) fn spared(&self, request: &Arc<R>) -> Vec<u32> {
        let list = self.lock();
        let waiting = list.waiters.iter();
        let waiting = waiting.filter(|waiter| waiter.awaits == Awaits::Shutdown);
        let waiting = waiting.filter_map(|waiter| waiter.place.task_of(request));
        let spared = list.spared.iter();
        let spared = spared.filter(|(other, _)| other.as_ptr() == Arc::as_ptr(request));
        waiting.chain(spared.map(|(_, task)| *task)).collect()
    }

    /// Returns the tasks of a request that wait.
    pub(crate) fn of(&self, request: &Arc<R>) -> Vec<u32> {
        let list = self.lock();
        let waiting = list.waiters.iter();
        waiting.filter_map(|w| w.place.task_of(request)).collect()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, List<R>> {
        self.0.lock()
    }
}

impl<R> List<R> {
    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Returns whether a wait is over, because nothing is alive except for such waits. Returns `None` for a wait that
    /// is not listed, because its code runs in no request.
    pub(crate) fn is_over(&self, number: u64) -> Option<bool> {
        let own = self.waiters.iter().find(|w| w.number == number)?;
        Some(own.is_over)
    }

    /// Ends all listed waits.
    pub(crate) fn end_all(&mut self) {
        self.waiters.iter_mut().for_each(|w| w.is_over = true);
    }

    /// Lists the places where the code of a wait runs, if they are new. Returns the requests of the new places.
    pub(crate) fn locate(
        &mut self,
        number: u64,
        awaits: Awaits,
        places: Vec<Place<R>>,
    ) -> Vec<Arc<R>> {
        let own = || self.waiters.iter().filter(|w| w.number == number);
        let is_new = |place: &Place<R>| own().all(|w| w.place != *place);
        let new: Vec<Place<R>> = places.into_iter().filter(is_new).collect();
        let is_over = own().any(|w| w.is_over);
        let requests = new.iter().map(|place| place.request.clone()).collect();
        self.waiters.extend(new.into_iter().map(|place| Waiter {
            number,
            awaits,
            place,
            is_over,
        }));
        requests
    }

    /// Removes a wait from the list. The caller drops it outside of the lock, because it may hold the last reference to
    /// its request.
    pub(crate) fn take(&mut self, number: u64) -> Vec<Waiter<R>> {
        let all = std::mem::take(&mut self.waiters);
        let (own, others) = all.into_iter().partition(|w| w.number == number);
        self.waiters = others;
        own
    }

    /// Returns how many tasks of this request wait. Returns `None` if no code of the request does.
    pub(crate) fn tasks_of(&self, request: &Arc<R>) -> Option<usize> {
        let here = |waiter: &&Waiter<R>| Arc::ptr_eq(&waiter.place.request, request);
        let mut here = self.waiters.iter().filter(here).peekable();
        here.peek()?;
        let mut tasks: Vec<u32> = here.filter_map(|waiter| waiter.place.task).collect();
        tasks.sort_unstable();
        // One task may wait several times.
        tasks.dedup();
        Some(tasks.len())
    }

    /// Spares the tasks of this wait, whose shutdown has ended. Later shutdowns do not abort them either.
    pub(crate) fn spare_from_now_on(&mut self, number: u64) {
        let Self {
            waiters,
            last_number: _,
            spared,
        } = self;
        spared.retain(|(request, _)| request.strong_count() > 0);
        let own = waiters.iter().filter(|waiter| waiter.number == number);
        for Place { request, task } in own.map(|waiter| &waiter.place) {
            spared.extend(task.map(|task| (Arc::downgrade(request), task)));
        }
    }
}

impl<R> Place<R> {
    /// Returns the task, if it belongs to this request.
    fn task_of(&self, request: &Arc<R>) -> Option<u32> {
        self.task.filter(|_| Arc::ptr_eq(&self.request, request))
    }
}

impl<R> PartialEq for Place<R> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.request, &other.request) && self.task == other.task
    }
}

impl<R> Default for Waiters<R> {
    fn default() -> Self {
        Self(Mutex::new(List {
            waiters: Vec::new(),
            last_number: 0,
            spared: Vec::new(),
        }))
    }
}
