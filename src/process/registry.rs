//! The list of all requests of a process that have tasks: the view under
//! [`TrackerHandle`](crate::TrackerHandle).

use std::fmt;
use std::sync::{Arc, Weak};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::panics;
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering, thread_number, upgrade};

/// Enough for the threads of a usual runtime. More threads share them.
const SHARDS: usize = 8;

/// The listed requests, in shards: each thread lists in its own, so that threads do not wait for each other.
///
/// The lock of a shard is the innermost one: a request lists itself under its own lock. A reader collects the
/// members, unlocks, and locks each of them after that.
pub(crate) struct Registry<T> {
    shards: [Shard<T>; SHARDS],
    /// How many waits there are. Counted before their first look: a member that leaves, or joins, after that look finds
    /// the count, because both lock the shard in between.
    waits: AtomicUsize,
    /// How many members wait for all the others, at most.
    waiters: AtomicUsize,
    /// Notified when the registry may be as empty as a wait asks for.
    changed: Notify,
}

/// On cache lines of its own.
#[repr(align(64))]
struct Shard<T>(Mutex<Members<T>>);

struct Members<T> {
    registrations: Vec<Option<Weak<T>>>,
    vacant: Vec<u32>,
    /// How often a member has joined.
    joins: usize,
}

/// A member's place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registration {
    shard: u32,
    index: u32,
}

impl<T> Registry<T> {
    /// Lists a member. The caller calls [`joined`](Self::joined) once it has released its own lock.
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

    /// Announces a join to the waits: each may have to look again where its code runs.
    #[inline]
    pub(crate) fn joined(&self) {
        if self.is_awaited() {
            self.announce();
        }
    }

    /// Takes a member off the list.
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

    /// Announces that a task of a member has ended, if a wait may be over with it.
    pub(crate) fn has_changed(&self) {
        if self.is_awaited() && self.len() <= self.waiters() {
            self.announce();
        }
    }

    /// Sets how many members wait for all the others, at most.
    pub(crate) fn set_waiters(&self, members: usize) {
        self.waiters.store(members, Ordering::SeqCst);
    }

    /// Begins a wait that looks at the list: joins and leaves are announced until [`end_wait`](Self::end_wait).
    pub(crate) fn begin_wait(&self) {
        self.waits.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn end_wait(&self) {
        self.waits.fetch_sub(1, Ordering::SeqCst);
    }

    /// Lets every wait look again.
    pub(crate) fn announce(&self) {
        // It calls wakers, which may run any code, perhaps in a destructor.
        let _ = panics::caught(|| self.changed.notify_waiters());
    }

    /// Ready when the list may have become as empty as a wait asks for, or something was announced, after this was
    /// first polled.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// The members. Others may join and leave meanwhile.
    pub(crate) fn members(&self) -> Vec<Arc<T>> {
        let mut all = Vec::new();
        for shard in 0..SHARDS {
            let members = self.lock(shard);
            all.extend(members.registrations.iter().flatten().filter_map(upgrade));
        }
        all
    }

    /// The members, and whether there was a moment at which these were all: no other one joined meanwhile.
    pub(crate) fn members_at_once(&self) -> (Vec<Arc<T>>, bool) {
        let before = self.joins();
        let members = self.members();
        (members, self.joins() == before)
    }

    pub(crate) fn len(&self) -> usize {
        (0..SHARDS).map(|shard| self.lock(shard).len()).sum()
    }

    /// Whether there was a moment at which the list was empty.
    pub(crate) fn is_empty(&self) -> bool {
        loop {
            // The shards are looked at one after the other: a member may join one that was empty while the last
            // one leaves another.
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
