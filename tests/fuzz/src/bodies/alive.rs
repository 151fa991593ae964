//! A guard that counts a task while its future lives.

use tokio::time::Instant;

use super::task::Kind;
use super::world::World;

/// Counts a task for as long as its future lives.
pub(super) struct Alive {
    world: World,
    kind: Kind,
    /// The plan says that it is dropped.
    pub(super) is_planned: bool,
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
        let mut facts = world.facts();
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
        drop(facts);
        Self {
            world: world.clone(),
            kind,
            is_planned: false,
            fate: Fate::Dropped,
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let mut facts = self.world.facts();
        facts.killed += usize::from(self.fate == Fate::Dropped && !self.is_planned);
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
