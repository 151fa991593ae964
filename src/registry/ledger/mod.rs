//! Which tasks a request has, by name and place, and what became of those that did not complete.

mod reading;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::registry::entry::{Brief, Entry, Pulse, Standing, Task};
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
    /// In the order of their ids, but for detached tasks and for spawns that raced each other.
    entries: Vec<Entry>,
    /// All entries from here on have no start yet.
    unstamped: usize,
    /// How many tasks were listed that the report counts.
    listed: usize,
    /// The first of those that did not complete.
    troubled: Vec<(u32, TaskInfo)>,
    failed: usize,
    panicked: usize,
    aborted: usize,
    /// A required task did not complete.
    pub(crate) required_failed: bool,
    /// The report was made, and has a required task that failed or was late: the log has an error for it.
    pub(crate) failure_is_logged: bool,
    /// How many were counted in and then refused.
    pub(crate) retracted: usize,
    /// Ends of tasks that are not listed yet, but for those that have just completed.
    ended_unlisted: Vec<Unlisted>,
    /// The report was made: what is written down from now on is not in it.
    pub(crate) closed: bool,
    /// The exchange goes on as an upgraded stream: nobody is late.
    pub(crate) goes_on: bool,
    /// The client is gone.
    pub(crate) client_gone: bool,
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

/// What became of a task.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) info: TaskInfo,
    pub(crate) is_required: bool,
    /// The report counts it, or has counted it as ended. If not, the task has to be told of by itself.
    pub(crate) is_counted: bool,
    /// If the task is required, the event of its request is the error for it.
    pub(crate) is_reported: bool,
}

#[derive(Debug)]
struct Unlisted {
    id: u32,
    state: TaskState,
    message: Option<String>,
}

impl Ledger {
    /// Lists a task, and gives its end if that came before.
    #[inline]
    pub(crate) fn enlist(
        &mut self,
        id: u32,
        brief: Brief,
        is_counted: bool,
        pulse: Pulse,
    ) -> Option<End> {
        if self.entries.len() == self.entries.capacity() {
            self.compact();
        }
        self.listed += usize::from(is_counted);
        self.entries.push(Entry {
            id,
            brief,
            is_counted,
            pulse,
            started: None,
        });
        let ended = self.ended_unlisted.iter().position(|end| end.id == id)?;
        let Unlisted { state, message, .. } = self.ended_unlisted.swap_remove(ended);
        // tokio may not know yet.
        let entry = self.entries.last_mut()?;
        entry.pulse = Pulse::Ended(state);
        let info = entry.info(state, message, None);
        if is_counted {
            self.push_troubled(id, &info);
        }
        Some(End {
            info,
            is_required: brief.required,
            is_counted,
            is_reported: is_counted,
        })
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
            failure_is_logged,
            retracted,
            ended_unlisted,
            closed,
            goes_on,
            client_gone,
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
        *failure_is_logged = false;
        (*goes_on, *client_gone) = (false, false);
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

    /// Writes down the end of a task. `None` if it is not listed yet: then that gives it.
    pub(crate) fn note_end(
        &mut self,
        task: Task,
        state: TaskState,
        message: Option<String>,
        now: Instant,
    ) -> Option<End> {
        let is_counted = !self.closed && task.standing.is_counted();
        let in_trouble = state != TaskState::Completed;
        self.required_failed |= is_counted && in_trouble && task.standing == Standing::Required;
        let Some(index) = self.find(task.id) else {
            self.ended_unlisted.push(Unlisted {
                id: task.id,
                state,
                message,
            });
            return None;
        };
        let entry = &mut self.entries[index];
        entry.pulse = Pulse::Ended(state);
        let is_required = entry.brief.required;
        let is_reported = is_counted || (entry.is_counted && self.failure_is_logged);
        let info = entry.info(state, message, Some(now));
        if is_counted {
            self.push_troubled(task.id, &info);
        }
        Some(End {
            info,
            is_required,
            is_counted,
            is_reported,
        })
    }

    fn push_troubled(&mut self, id: u32, info: &TaskInfo) {
        match info.state {
            TaskState::Failed => self.failed += 1,
            TaskState::Panicked => self.panicked += 1,
            TaskState::Aborted => self.aborted += 1,
            TaskState::Completed | TaskState::Running => return,
        }
        if self.troubled.len() < MAX_TROUBLED {
            self.troubled.push((id, info.clone()));
        }
    }
}
