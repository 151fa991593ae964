//! What becomes of late tasks, which are alive at the deadline: `at_deadline` takes the policy,
//! `Unfinished::Continue`, `Cancel` or `Abort`. `cancellation_token`, and the destructors of aborted tasks.
//!
//! | module | |
//! |---|---|
//! | `abort` | `Unfinished::Abort`: tasks are aborted shortly before the deadline. |
//! | `cancel` | `Unfinished::Cancel`: tasks are asked to stop, and have a grace until they are aborted. `Tasks::cancellation_token`. |
//! | `destructors` | The destructors of aborted tasks: they have until the deadline, and what they spawn is tracked. |
//! | `moved_deadlines` | Deadlines and policies that change after tasks were aborted. |
//! | `policies` | Late tasks run on, or are stopped as the policy states; a request sets its own; what cannot be aborted is reported. |

mod abort;
mod cancel;
pub(crate) mod destructors;
mod moved_deadlines;
mod policies;

use tower_task_tracker::{TaskTrackerLayer, Unfinished};

use crate::support::{Log, ms};

fn layer(log: &Log, timeout: u64, unfinished: Unfinished) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .drain_timeout(ms(timeout))
        .at_deadline(unfinished)
        .observer(log.clone())
}

fn cancel(grace: u64) -> Unfinished {
    Unfinished::Cancel { grace: ms(grace) }
}
