//! How a task comes to be counted and listed.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use tokio::time::Instant;

use super::Registry;
use super::detached::is_detached;
use super::entry::{Brief, Pulse, Standing, Task};
use super::guard::{Extra, TaskGuard};
use super::listing::Listing;
use super::live::Added;
use super::running::Running;
use crate::report::TaskState;
use crate::trace::Span;
use crate::{metrics, trace};

/// Why a task was not counted in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    Released,
    ShuttingDown,
}

impl Registry {
    /// Counts in a task that is about to be spawned.
    pub(crate) fn admit(self: &Arc<Self>, brief: Brief) -> (Listing<'_>, TaskGuard) {
        let brief = self.brief(brief, self.runs_detached());
        let added = if brief.detached {
            self.detached.add(2)
        } else {
            self.live.add_with_spawner()
        };
        self.admitted(added, brief)
    }

    /// Counts in a task that is about to be spawned, unless it would be late or the process is
    /// shutting down.
    pub(crate) fn try_admit(
        self: &Arc<Self>,
        brief: Brief,
    ) -> Result<(Listing<'_>, TaskGuard), Refusal> {
        // A straggler is refused, as the response does not wait: it may ask for a detached one.
        let brief = self.brief(brief, self.runs_in_detached_task());
        if self.process().is_closing() {
            return Err(Refusal::ShuttingDown);
        }
        let added = if brief.detached {
            self.detached.add(2)
        } else {
            let added = self.live.try_add_with_spawner();
            added.ok_or(Refusal::Released)?
        };
        self.join_roster();
        // Either a shutdown that begins now sees the task, or the task sees it here.
        fence(Ordering::SeqCst);
        if self.process().is_closing() {
            self.retract(added);
            return Err(Refusal::ShuttingDown);
        }
        Ok(self.admitted(added, brief))
    }

    /// Counts in and lists a task that runs elsewhere.
    pub(crate) fn admit_elsewhere(self: &Arc<Self>, brief: Brief) -> TaskGuard {
        let brief = self.brief(brief, self.runs_detached());
        let added = if brief.detached {
            self.detached.add(1)
        } else {
            self.live.add()
        };
        let brief = self.brief_of_added(brief, added);
        let task = self.task(added, brief, false);
        let guard = TaskGuard::new(self, task, self.task_span(&brief));
        self.enlist(task, brief, Pulse::Elsewhere, guard.extra().cloned());
        guard
    }

    /// Lists a task that was counted in. Its spawner, if it has one, holds the request no longer. `extra`: with
    /// the task's span.
    pub(super) fn enlist(
        self: &Arc<Self>,
        task: Task,
        brief: Brief,
        pulse: Pulse,
        mut extra: Option<Arc<Extra>>,
    ) {
        let (is_late_spawn, early) = {
            let mut ledger = self.ledger();
            // A report that was made since the task was counted in, at a deadline or a disconnect,
            // does not know of it.
            let is_counted = task.standing.is_counted() && !ledger.closed;
            let early = ledger.enlist(task.id, brief, is_counted, pulse);
            if !is_counted || ledger.opened.is_some() {
                // Nothing else may come to read the clock for what does not wait where we see it.
                ledger.stamp(Instant::now());
            }
            let is_late_spawn = !is_counted
                && !brief.detached
                && !ledger.goes_on
                && !self.handler_goes_on.load(Ordering::Relaxed);
            (is_late_spawn, early)
        };
        if let Some(end) = &early {
            self.log_end(end, extra.as_deref());
        }
        let early = early.filter(|end| !end.is_counted);
        if !is_late_spawn && early.is_none() {
            // Before it counts down, as at the task's end.
            extra = None;
        }
        let spawner = task.is_spawned;
        let telling = spawner.then(|| self.count_out(task.id));
        if is_late_spawn {
            let info = brief.info(TaskState::Running, None, Duration::ZERO);
            metrics::late_spawn();
            let log = || trace::late_spawn(&info, self.id.as_deref());
            self.in_span_of(extra.as_deref(), false, log);
            self.tell(extra.as_deref(), |observer| observer.on_late_spawn(&info));
        }
        if let Some(end) = early {
            self.tell(extra.as_deref(), |observer| observer.on_late_end(&end.info));
        }
        // In this order: see `end`.
        drop(extra);
        drop(telling);
    }

    /// Gives an age to every task that has none.
    pub(super) fn stamp(&self) {
        let mut ledger = self.ledger();
        if ledger.wants_stamp() {
            ledger.stamp(Instant::now());
        }
    }

    #[inline]
    fn admitted(self: &Arc<Self>, added: Added, brief: Brief) -> (Listing<'_>, TaskGuard) {
        let brief = self.brief_of_added(brief, added);
        let task = self.task(added, brief, true);
        let guard = TaskGuard::new(self, task, self.task_span(&brief));
        let extra = guard.extra().cloned();
        (Listing::new(self, task, brief, extra), guard)
    }

    #[inline]
    fn task(self: &Arc<Self>, Added { id, late }: Added, brief: Brief, is_spawned: bool) -> Task {
        if id == 0 || late {
            self.join_roster();
        }
        metrics::task_started();
        let standing = if brief.detached {
            Standing::Detached
        } else if late {
            Standing::Late
        } else if brief.required {
            self.any_required.store(true, Ordering::Relaxed);
            self.required.fetch_add(1, Ordering::Relaxed);
            Standing::Required
        } else {
            Standing::Ordinary
        };
        Task {
            id,
            standing,
            is_load: self.process().add_load(),
            is_spawned,
            has_age: false,
            #[cfg(feature = "metrics")]
            name: brief.name,
        }
    }

    /// The span that a task runs in: under the one that is current here, or that one itself.
    #[inline]
    fn task_span(&self, brief: &Brief) -> Span {
        if !self.task_spans.load(Ordering::Relaxed) {
            Span::current()
        } else if brief.detached {
            // The request's span is not to wait for it either.
            trace::linked_task_span(brief.name, brief.location, self.id.as_deref())
        } else {
            trace::task_span(brief.name, brief.location)
        }
    }

    /// What was counted in is not spawned.
    fn retract(self: &Arc<Self>, Added { id, .. }: Added) {
        if !is_detached(id) {
            self.ledger().retracted += 1;
        }
        for _ in 0..2 {
            drop(self.count_out(id));
        }
    }

    /// Whether the code that runs is a task of this request that no response waits for, or waits for any longer:
    /// what it spawns is detached like itself. An exchange that goes on, and a handler that does, have rules of their
    /// own for what they spawn.
    #[inline]
    pub(crate) fn runs_detached(&self) -> bool {
        let task = Running::current().task_of(self);
        task.is_some_and(|task| is_detached(task) || (self.is_released() && !self.spawns_in_time()))
    }

    fn runs_in_detached_task(&self) -> bool {
        Running::current().task_of(self).is_some_and(is_detached)
    }

    /// Whether what is spawned after the release is not late.
    fn spawns_in_time(&self) -> bool {
        self.handler_goes_on.load(Ordering::Relaxed) || self.ledger().goes_on
    }

    /// The same, for a task that was counted in: the request may have been released just before that, under
    /// the task that spawns. Then it is detached, although it is counted with those that are not.
    #[inline]
    fn brief_of_added(&self, brief: Brief, added: Added) -> Brief {
        if added.late && !brief.detached {
            self.brief(brief, self.runs_detached())
        } else {
            brief
        }
    }

    /// `by_detached`: the task that spawns it is detached. So is all work of the process
    /// itself. No response fails with what it does not wait for.
    #[inline]
    fn brief(&self, brief: Brief, by_detached: bool) -> Brief {
        let detached = brief.detached || self.is_process() || by_detached;
        Brief {
            detached,
            required: brief.required && !detached,
            ..brief
        }
    }
}
