//! What a report contains.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Rare, State};
use crate::report::{Outcome, TaskInfo, TaskState};
use crate::request::account::{Account, Incomplete, ReleaseState, ReportQuery};
use crate::request::names::put_name;
use crate::request::task::{Entry, Kind};

impl<H> State<H> {
    /// Returns what a report contains at this moment.
    pub(crate) fn account(&self, query: ReportQuery) -> ReleaseState {
        // A client that has left did not wait for a required task, and an upgraded stream does not.
        let is_late = matches!(query.outcome, Outcome::DeadlineExceeded | Outcome::Shutdown)
            && self.required > 0;
        ReleaseState {
            required_failed: self.required_failed || is_late,
            account: query.at.map(|_| self.account_now()),
            stragglers: query.at.map_or_else(Vec::new, |at| self.stragglers(at)),
            waker: None,
        }
    }

    #[inline(always)]
    pub(super) fn account_now(&self) -> Account {
        Account {
            tally: self.tally,
            last: self.last,
            has_detached: self.has_detached,
            incomplete: self.rare.as_deref().map(|rare| self.incomplete(rare)),
        }
    }

    #[cold]
    fn incomplete(&self, rare: &Rare) -> Box<Incomplete> {
        let failures = rare.failures.iter();
        let last = self.last.and_then(|last| {
            let found = failures.clone().find(|(id, _)| *id == last.id);
            found.map(|(_, info)| info.clone())
        });
        Box::new(Incomplete {
            last,
            failures: failures.map(|(_, info)| info.clone()).collect(),
            last_name: self.last.and_then(|last| rare.names.get(last.id).cloned()),
            cancelled: rare.cancelled,
        })
    }

    /// Returns the tasks that are alive, in the order of their spawns.
    fn stragglers(&self, now: Instant) -> Vec<TaskInfo> {
        if self.alive == 0 {
            return Vec::new();
        }
        let is_unfinished = |entry: &&Entry<H>| entry.is_waited_for();
        let mut stragglers: Vec<&Entry<H>> = self.table.iter().filter(is_unfinished).collect();
        stragglers.sort_unstable_by_key(|entry| entry.id);
        self.infos(&stragglers, now)
    }

    pub(super) fn infos(&self, entries: &[&Entry<H>], now: Instant) -> Vec<TaskInfo> {
        let info = |entry: &&Entry<H>| {
            let mut info = entry.info(TaskState::Running, None, Some(now));
            put_name(&mut info, self.computed_name(entry));
            info
        };
        entries.iter().map(info).collect()
    }

    pub(super) fn computed_name(&self, entry: &Entry<H>) -> Option<&Arc<str>> {
        if !entry.has_computed_name {
            return None;
        }
        self.rare.as_ref()?.names.get(entry.id)
    }

    /// Returns all tasks that are alive, except for these, in the order of their ids.
    pub(crate) fn snapshot(&self, now: Instant, except: &[u32]) -> Vec<TaskInfo> {
        let is_shown = |entry: &&Entry<H>| {
            entry.is_alive() && entry.kind != Kind::Tracker && !except.contains(&entry.id)
        };
        let mut alive: Vec<&Entry<H>> = self.table.iter().filter(is_shown).collect();
        alive.sort_unstable_by_key(|entry| entry.id);
        self.infos(&alive, now)
    }
}
