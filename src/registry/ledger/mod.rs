//! Which tasks a request has, by name and place, and what became of those that did not complete.

mod reading;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::registry::entry::{Entry, Pulse, Task};
use crate::registry::limits::Limits;
use crate::report::{TaskInfo, TaskState};
use crate::settings::Settings;

/// How many tasks in trouble are kept with their messages: a response may go on for days.
pub(in crate::registry) const MAX_TROUBLED: usize = 1024;

/// More room for entries than this is given back.
const MAX_ROOM: usize = 64;

/// The part of a request's state that is under a lock: taken once for each spawn, and otherwise
/// only where something has to be told.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// In the order of their ids, but for spawns that raced each other.
    entries: Vec<Entry>,
    /// All entries from here on have no start yet.
    unstamped: usize,
    /// How many tasks were listed that are not late.
    listed: usize,
    /// The first of those that did not complete.
    troubled: Vec<(u32, TaskInfo)>,
    failed: usize,
    panicked: usize,
    aborted: usize,
    /// A required task did not complete.
    pub(crate) required_failed: bool,
    /// How many were counted in and then refused.
    pub(crate) retracted: usize,
    /// Trouble of tasks that ended before they were listed.
    ended_unlisted: Vec<(u32, TaskInfo)>,
    /// The report was made: what is written down from now on is not in it.
    pub(crate) closed: bool,
    /// The exchange goes on as an upgraded stream: nobody is late.
    pub(crate) goes_on: bool,
    /// The client is gone.
    pub(crate) is_left: bool,
    /// When the drain window opened; `None` while none is open.
    pub(crate) opened: Option<Instant>,
    /// Limits of the window that do not count from its opening; `None` while there are none.
    pub(crate) limits: Option<Box<Limits>>,
    /// What tasks watch to stop early: made when one is asked for.
    pub(crate) token: Option<CancellationToken>,
    /// The token was, or would be, cancelled.
    pub(crate) cancelled: bool,
    /// What nested layers and the request itself have said.
    pub(crate) overrides: Option<Box<Settings>>,
}

impl Ledger {
    /// Lists a task. If it is late, and has ended in trouble before it was listed, that is given
    /// back: no report will tell of it.
    pub(crate) fn enlist(&mut self, task: Task, pulse: Pulse) -> Option<TaskInfo> {
        if self.entries.len() == self.entries.capacity() {
            self.compact();
        }
        self.listed += usize::from(!task.late);
        self.entries.push(Entry {
            task,
            pulse,
            started: None,
        });
        let ended = self
            .ended_unlisted
            .iter()
            .position(|(id, _)| *id == task.id)?;
        let (id, info) = self.ended_unlisted.swap_remove(ended);
        // tokio may not know yet.
        if let Some(entry) = self.entries.last_mut() {
            entry.pulse = Pulse::Ended(info.state);
        }
        if task.late {
            return Some(info);
        }
        self.push_troubled(id, info);
        None
    }

    /// Forgets everything, but for room for some entries.
    pub(in crate::registry) fn reset(&mut self) {
        let Self {
            entries,
            unstamped,
            listed,
            troubled,
            failed,
            panicked,
            aborted,
            required_failed,
            retracted,
            ended_unlisted,
            closed,
            goes_on,
            is_left,
            opened,
            limits,
            token,
            cancelled,
            overrides,
        } = self;
        entries.clear();
        if entries.capacity() > MAX_ROOM {
            *entries = Vec::new();
        }
        *troubled = Vec::new();
        *ended_unlisted = Vec::new();
        (*unstamped, *listed, *retracted) = (0, 0, 0);
        (*failed, *panicked, *aborted) = (0, 0, 0);
        (*required_failed, *closed, *cancelled) = (false, false, false);
        (*goes_on, *is_left) = (false, false);
        (*opened, *limits, *token) = (None, None, None);
        *overrides = None;
    }

    /// Forgets who has ended. Room is doubled when that frees little, so that a list of the living
    /// is not walked over and over again.
    fn compact(&mut self) {
        self.entries.retain(|entry| !entry.pulse.has_ended());
        self.unstamped = self
            .entries
            .iter()
            .take_while(|entry| entry.started.is_some())
            .count();
        if self.entries.len() > self.entries.capacity() / 2 {
            self.entries.reserve(self.entries.capacity());
        }
    }

    /// Gives a start to all that have none.
    pub(crate) fn stamp(&mut self, now: Instant) {
        for entry in &mut self.entries[self.unstamped..] {
            entry.started = Some(now);
        }
        self.unstamped = self.entries.len();
    }

    /// Writes down the end of a task. Says whether the report will count it, or has counted it as
    /// ended; if not, the task has to be told of by itself.
    pub(crate) fn note_end(&mut self, task: Task, info: &TaskInfo) -> bool {
        let index = self.find(task.id);
        if let Some(index) = index {
            self.entries[index].pulse = Pulse::Ended(info.state);
        }
        if self.closed || task.late {
            return false;
        }
        if info.state == TaskState::Completed {
            return index.is_some();
        }
        self.required_failed |= task.brief.required;
        match index {
            Some(_) => self.push_troubled(task.id, info.clone()),
            None => self.ended_unlisted.push((task.id, info.clone())),
        }
        true
    }

    fn push_troubled(&mut self, id: u32, info: TaskInfo) {
        match info.state {
            TaskState::Failed => self.failed += 1,
            TaskState::Panicked => self.panicked += 1,
            TaskState::Aborted => self.aborted += 1,
            TaskState::Completed | TaskState::Running => {}
        }
        if self.troubled.len() < MAX_TROUBLED {
            self.troubled.push((id, info));
        }
    }
}
