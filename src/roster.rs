//! The requests of a process that have tasks: the list under [`TrackerHandle`](crate::TrackerHandle).

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// A list of `T`s that their owners join and leave.
pub(crate) struct Roster<T> {
    members: Mutex<Members<T>>,
    /// Notified when the last member leaves, when a change may be all that an attended one waits for, and by
    /// [`announce`](Self::announce).
    changed: Notify,
}

struct Members<T> {
    seats: Vec<Option<Weak<T>>>,
    vacant: Vec<usize>,
    /// Somebody has asked to be told of changes.
    is_watched: bool,
    /// How many members wait for all others, at most.
    attended: usize,
    /// How many waits there are.
    waits: usize,
}

/// A member's place in the list, if it has one. It is written under the lock of the list alone.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    /// One more than the index; zero is none.
    number: AtomicUsize,
}

impl<T> Roster<T> {
    /// Takes a seat, unless there is one. Returns whether it did and a wait may have to look where it runs.
    pub(crate) fn join(&self, seat: &Seat, member: impl FnOnce() -> Weak<T>) -> bool {
        self.with(|members| {
            if seat.index().is_some() {
                return false;
            }
            let member = Some(member());
            let index = match members.vacant.pop() {
                Some(index) => {
                    members.seats[index] = member;
                    index
                }
                None => {
                    members.seats.push(member);
                    members.seats.len() - 1
                }
            };
            // Release: who sees it without the lock is on the list that others find under the lock.
            seat.number.store(index + 1, Ordering::Release);
            members.waits > 0
        })
    }

    /// Gives the seat back, if there is one and `may_leave` says so, which is asked under the lock.
    /// `has_changed`: something has, also if it stays, that other members may wait for.
    pub(crate) fn leave_if(
        &self,
        seat: &Seat,
        has_changed: bool,
        may_leave: impl FnOnce() -> bool,
    ) {
        let tell = self.with(|members| {
            let leaves = seat.index().filter(|_| may_leave());
            if let Some(index) = leaves {
                // Relaxed: who joins again does so under this lock.
                seat.number.store(0, Ordering::Relaxed);
                members.seats[index] = None;
                members.vacant.push(index);
            }
            let has_changed = leaves.is_some() || (has_changed && members.attended > 0);
            members.is_watched && has_changed && members.len() <= members.attended
        });
        if tell {
            self.changed.notify_waiters();
        }
    }

    /// So many members, at most, wait for all others from now on.
    pub(crate) fn attend(&self, members: usize) {
        self.with(|all| all.attended = members);
    }

    /// A wait begins that looks at the list: from now on a join is announced.
    pub(crate) fn begin_wait(&self) {
        self.with(|all| all.waits += 1);
    }

    /// It has ended.
    pub(crate) fn end_wait(&self) {
        self.with(|all| all.waits -= 1);
    }

    /// Lets everybody look again who waits for a change.
    pub(crate) fn announce(&self) {
        self.changed.notify_waiters();
    }

    /// Ready when the last member leaves, or when somebody announces something, after this was
    /// first polled.
    pub(crate) fn changed(&self) -> Notified<'_> {
        // Before the first look, so that who leaves after that look tells.
        self.with(|members| members.is_watched = true);
        self.changed.notified()
    }

    /// Who is here now. Outside the lock, so that members may join and leave meanwhile.
    pub(crate) fn members(&self) -> Vec<Arc<T>> {
        self.with(|members| {
            members
                .seats
                .iter()
                .flatten()
                .filter_map(Weak::upgrade)
                .collect()
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.with(|members| members.len())
    }

    fn with<R>(&self, f: impl FnOnce(&mut Members<T>) -> R) -> R {
        f(&mut self.members.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seat {
    pub(crate) fn is_taken(&self) -> bool {
        self.index().is_some()
    }

    fn index(&self) -> Option<usize> {
        self.number.load(Ordering::Acquire).checked_sub(1)
    }
}

impl<T> Members<T> {
    fn len(&self) -> usize {
        self.seats.len() - self.vacant.len()
    }
}

impl<T> Default for Roster<T> {
    fn default() -> Self {
        Self {
            members: Mutex::new(Members {
                seats: Vec::new(),
                vacant: Vec::new(),
                is_watched: false,
                attended: 0,
                waits: 0,
            }),
            changed: Notify::new(),
        }
    }
}

impl<T> fmt::Debug for Roster<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
