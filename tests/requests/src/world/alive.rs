//! A guard that counts a task for as long as its future lives.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use super::{Facts, World};
use crate::plan::Kind;

pub(super) struct Alive {
    world: World,
    kind: Kind,
    /// Whether the plan allows that the task is dropped before its end.
    pub(super) is_drop_planned: bool,
    pub(super) fate: Fate,
    /// `Some` if the task has a hand-off: how the task ended, until the hand-off begins.
    pub(super) armed: Option<Arc<Mutex<Option<Fate>>>>,
}

/// How a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Completed,
    Failed,
    Panicked,
    Dropped,
    /// Not completed, and its hand-off has succeeded.
    HandedOff,
}

impl Alive {
    pub(super) fn new(world: &World, kind: Kind) -> Self {
        let facts = &mut world.record().facts;
        match kind {
            Kind::Detached => {
                facts.detached += 1;
                facts.detached_alive += 1;
            }
            Kind::Plain | Kind::Required => {
                facts.spawned += 1;
                facts.alive += 1;
                facts.required_alive += usize::from(kind == Kind::Required);
            }
        }
        Self {
            world: world.clone(),
            kind,
            is_drop_planned: false,
            fate: Fate::Dropped,
            armed: None,
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if let (Some(armed), false) = (&self.armed, self.fate == Fate::Completed) {
            // The hand-off takes the place of the task.
            *armed.lock().expect("no panic holds this lock") = Some(self.fate);
            return;
        }
        let facts = &mut self.world.record().facts;
        facts.stopped += usize::from(self.fate == Fate::Dropped && !self.is_drop_planned);
        facts.end(self.kind, self.fate);
    }
}

impl Facts {
    pub(super) fn end(&mut self, kind: Kind, fate: Fate) {
        if kind == Kind::Detached {
            self.detached_alive -= 1;
            return;
        }
        *match fate {
            Fate::Completed => &mut self.fates.completed,
            Fate::Failed => &mut self.fates.failed,
            Fate::Panicked => &mut self.fates.panicked,
            Fate::Dropped => &mut self.fates.dropped,
            Fate::HandedOff => &mut self.fates.handed_off,
        } += 1;
        if kind == Kind::Required {
            self.required_alive -= 1;
            self.required_failed |= !matches!(fate, Fate::Completed | Fate::HandedOff);
            if self.required_alive == 0 {
                self.no_required_since = Some(Instant::now());
            }
        }
        self.alive -= 1;
        if self.alive == 0 {
            self.none_alive_since = Some(Instant::now());
        }
    }
}
