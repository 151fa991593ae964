//! The hand-off of a task.

use std::sync::{Arc, Mutex};

use tokio::time::{Instant, sleep};
use tower_task_tracker::NotDone;

use super::World;
use super::alive::Fate;
use super::facts::Begun;
use crate::clock::ms;
use crate::plan::{HandOff, Kind, Task, TaskEnd};

/// Counts a hand-off for as long as its future lives.
struct Handing {
    world: World,
    kind: Kind,
    ends_as: Fate,
}

impl Drop for Handing {
    fn drop(&mut self) {
        self.world.record().facts.end(self.kind, self.ends_as);
    }
}

impl World {
    /// Begins a hand-off. A panic here is a failure of the hand-off, so what is wrong is recorded and checked later.
    pub(super) fn hand_off(
        &self,
        (task, plan): (&Task, HandOff),
        kind: Kind,
        armed: &Arc<Mutex<Option<Fate>>>,
        why: NotDone,
    ) -> impl Future<Output = Result<(), &'static str>> + Send + use<> {
        let fate = armed.lock().expect("no panic holds this lock").take();
        self.record().hand_offs.push(Begun {
            at: Instant::now(),
            why,
            fate,
            is_abort_planned: task.end == TaskEnd::Aborted,
            is_detached: kind == Kind::Detached,
        });
        let handing = fate.map(|ends_as| Handing {
            world: self.clone(),
            kind,
            ends_as,
        });
        async move {
            let mut handing = handing;
            sleep(ms(plan.takes)).await;
            if plan.fails {
                return Err("planned");
            }
            if let Some(handing) = &mut handing {
                handing.ends_as = Fate::HandedOff;
            }
            Ok(())
        }
    }
}
