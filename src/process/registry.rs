//! The registry: the list of all requests of a process that have tasks. [`TrackerHandle`](crate::TrackerHandle) reads
//! it.

use std::fmt;
use std::sync::{Arc, Weak};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::panics;
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering, thread_number, upgrade};

/// Enough for the threads of a usual runtime. More threads share the shards.
const SHARDS: usize = 8;

/// The listed requests, in shards. A thread lists in its own shard, so that threads do not wait for each other.
///
/// The lock of a shard is the innermost one. A request lists itself under its own lock. A reader collects the members,
/// unlocks the shard, and only then locks each member.
pub(crate) struct Registry<T> {
    shards: [Shard<T>; SHARDS],
    /// How many waits there are. A wait is counted before its first look. A member that joins or leaves after that look
    /// finds the count, because both lock the shard in between.
    waits: AtomicUsize,
    /// An upper bound of the number of members that wait for all others.
    waiters: AtomicUsize,
    /// Notified when the registry may be as empty as a wait requires.
    changed: Notify,
}

/// A shard, on cache lines of its own.
#[repr(align(64))]
struct Shard<T>(Mutex<Members<T>>);

struct Members<T> {
    registrations: Vec<Option<Weak<T>>>,
    vacant: Vec<u32>,
    /// How often a member has joined.
    joins: usize,
}

/// The place of a member in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registration {
    shard: u32,
    index: u32,
}

impl<T> Registry<T> {
    /// Lists a member. The caller releases its own lock, and then calls [`joined`](Self::joined).
    #[inline]
    pub(crate) fn join(&self, member: Weak<T>) -> Registration {
        let shard = thread_number() % SHARDS;
        let mut members = self.lock(shard);
        members.joins = members.joins.wrapping_add(1);
        let index = match members.vacant.pop() {
            Some(index) => {
                members.registrations[index as usize] = Some(member);
                index
            }
            None => {
                members.registrations.push(Some(member));
                (members.registrations.len() - 1) as u32
            }
        };
        Registration {
            shard: shard as u32,
            index,
        }
    }

    /// Announces a join, if there are waits. Each of them may have to look up again where its code runs.
    #[inline]
    pub(crate) fn joined(&self) {
        if self.is_awaited() {
            self.announce();
        }
    }

    /// Removes a member from the list.
    #[inline]
    pub(crate) fn leave(&self, registration: Registration) {
        let member = {
            let mut members = self.lock(registration.shard as usize);
            members.vacant.push(registration.index);
            members.registrations[registration.index as usize].take()
        };
        drop(member);
        if self.is_awaited() && self.len() <= self.waiters() {
            self.announce();
        }
    }

    /// Announces the end of a task of a member, if a wait may be over with it.
    pub(crate) fn has_changed(&self) {
        if self.is_awaited() && self.len() <= self.waiters() {
            self.announce();
        }
    }

    /// Sets the upper bound of the number of members that wait for all others.
    pub(crate) fn set_waiters(&self, members: usize) {
        self.waiters.store(members, Ordering::SeqCst);
    }

    /// Begins a wait. Joins and leaves are announced until [`end_wait`](Self::end_wait).
    pub(crate) fn begin_wait(&self) {
        self.waits.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn end_wait(&self) {
        self.waits.fetch_sub(1, Ordering::SeqCst);
    }

    /// Wakes every wait, to look again.
    pub(crate) fn announce(&self) {
        // This calls wakers. They may run any code, and the caller may be a destructor.
        let _ = panics::caught(|| self.changed.notify_waiters());
    }

    /// Returns a future that is ready once something was announced after its first poll, for example that the list may
    /// be as empty as a wait requires.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Returns the members. Others may join and leave meanwhile.
    pub(crate) fn members(&self) -> Vec<Arc<T>> {
        let mut all = Vec::new();
        for shard in 0..SHARDS {
            let members = self.lock(shard);
            all.extend(members.registrations.iter().flatten().filter_map(upgrade));
        }
        all
    }

    /// Returns the members, and whether these were all of them at one moment. They were if none has joined meanwhile.
    pub(crate) fn members_at_once(&self) -> (Vec<Arc<T>>, bool) {
        let before = self.joins();
        let members = self.members();
        (members, self.joins() == before)
    }

    /// Returns how many members are listed.
    pub(crate) fn len(&self) -> usize {
        (0..SHARDS).map(|shard| self.lock(shard).len()).sum()
    }

    /// Returns whether the list was empty at one moment.
    pub(crate) fn is_empty(&self) -> bool {
        loop {
            // The shards are read one after the other. A member may join a shard that was empty, while the last member
            // of another shard leaves.
            let before = self.joins();
            if self.len() > 0 {
                return false;
            }
            if self.joins() == before {
                return true;
            }
        }
    }

    fn joins(&self) -> usize {
        let joins = (0..SHARDS).map(|shard| self.lock(shard).joins);
        joins.fold(0, usize::wrapping_add)
    }

    #[inline]
    fn is_awaited(&self) -> bool {
        self.waits.load(Ordering::SeqCst) > 0
    }

    fn waiters(&self) -> usize {
        self.waiters.load(Ordering::SeqCst)
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Members<T>> {
        self.shards[shard].0.lock()
    }
}

impl<T> Members<T> {
    fn len(&self) -> usize {
        self.registrations.len() - self.vacant.len()
    }
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| {
                Shard(Mutex::new(Members {
                    registrations: Vec::new(),
                    vacant: Vec::new(),
                    joins: 0,
                }))
            }),
            waits: AtomicUsize::new(0),
            waiters: AtomicUsize::new(0),
            changed: Notify::new(),
        }
    }
}

impl<T> fmt::Debug for Registry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
