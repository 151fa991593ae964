//! The requests of a process that have tasks: the list under [`TrackerHandle`](crate::TrackerHandle).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// A list of `T`s that their owners join and leave.
pub(crate) struct Roster<T> {
    members: Mutex<Members<T>>,
    /// Notified when the last member leaves, and by [`announce`](Self::announce).
    changed: Notify,
}

struct Members<T> {
    seats: Vec<Option<Weak<T>>>,
    vacant: Vec<usize>,
}

/// A place in the list; handed back to leave.
#[derive(Debug)]
pub(crate) struct Seat(usize);

impl<T> Roster<T> {
    pub(crate) fn join(&self, member: Weak<T>) -> Seat {
        self.with(|members| match members.vacant.pop() {
            Some(index) => {
                members.seats[index] = Some(member);
                Seat(index)
            }
            None => {
                members.seats.push(Some(member));
                Seat(members.seats.len() - 1)
            }
        })
    }

    pub(crate) fn leave(&self, Seat(index): Seat) {
        let empty = self.with(|members| {
            members.seats[index] = None;
            members.vacant.push(index);
            members.is_empty()
        });
        if empty {
            self.changed.notify_waiters();
        }
    }

    /// Lets everybody look again who waits for a change.
    pub(crate) fn announce(&self) {
        self.changed.notify_waiters();
    }

    /// Ready when the last member leaves, or when somebody announces something, after this was
    /// first polled.
    pub(crate) fn changed(&self) -> Notified<'_> {
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

    /// Waits until nobody is here. Cancel safe.
    pub(crate) async fn wait_idle(&self) {
        loop {
            // Registered before the look, so that a leave in between is not missed.
            let changed = self.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            changed.await;
        }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Members<T>) -> R) -> R {
        f(&mut self.members.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Members<T> {
    fn len(&self) -> usize {
        self.seats.len() - self.vacant.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Default for Roster<T> {
    fn default() -> Self {
        Self {
            members: Mutex::new(Members {
                seats: Vec::new(),
                vacant: Vec::new(),
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
