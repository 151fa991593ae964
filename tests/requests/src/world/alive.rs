//! A guard that counts a task for as long as its future lives.

use tokio::time::Instant;

use super::World;
use crate::plan::Kind;

pub(super) struct Alive {
    world: World,
    kind: Kind,
    /// Whether the plan allows that the task is dropped before its end.
    pub(super) is_drop_planned: bool,
    pub(super) fate: Fate,
}

/// How a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Completed,
    Failed,
    Panicked,
    Dropped,
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
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let facts = &mut self.world.record().facts;
        facts.stopped += usize::from(self.fate == Fate::Dropped && !self.is_drop_planned);
        if self.kind == Kind::Detached {
            facts.detached_alive -= 1;
            return;
        }
        *match self.fate {
            Fate::Completed => &mut facts.fates.completed,
            Fate::Failed => &mut facts.fates.failed,
            Fate::Panicked => &mut facts.fates.panicked,
            Fate::Dropped => &mut facts.fates.dropped,
        } += 1;
        if self.kind == Kind::Required {
            facts.required_alive -= 1;
            facts.required_failed |= self.fate != Fate::Completed;
            if facts.required_alive == 0 {
                facts.no_required_since = Some(Instant::now());
            }
        }
        facts.alive -= 1;
        if facts.alive == 0 {
            facts.none_alive_since = Some(Instant::now());
        }
    }
}
