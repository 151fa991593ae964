//! A task between its admission and its place in the ledger.

use std::sync::Arc;

use tokio::task::AbortHandle;

use super::Registry;
use super::entry::{Brief, Pulse, Task};
use super::guard::Extra;
use crate::report::TaskState;

/// What a spawn itself holds of the request, from before the task exists until the task is listed:
/// the request cannot drain meanwhile, so that its report knows of everybody.
///
/// It is no lock: on a dead runtime the future is dropped inside of the spawn, and may run anything.
#[derive(Debug)]
pub(crate) struct Listing<'a> {
    registry: &'a Arc<Registry>,
    task: Task,
    brief: Brief,
    /// With the task's span: a late spawn is logged there.
    extra: Option<Arc<Extra>>,
    /// `None` if the spawn has panicked, which was the end of the task too.
    handle: Option<AbortHandle>,
}

impl<'a> Listing<'a> {
    #[inline]
    pub(super) fn new(
        registry: &'a Arc<Registry>,
        task: Task,
        brief: Brief,
        extra: Option<Arc<Extra>>,
    ) -> Self {
        Self {
            registry,
            task,
            brief,
            extra,
            handle: None,
        }
    }

    /// The task was spawned. It may have ended by now.
    pub(crate) fn spawned(mut self, handle: AbortHandle) {
        self.handle = Some(handle);
    }
}

impl Drop for Listing<'_> {
    fn drop(&mut self) {
        let pulse = match self.handle.take() {
            Some(handle) => Pulse::Spawned(handle),
            None => Pulse::Ended(TaskState::Aborted),
        };
        let extra = self.extra.take();
        self.registry.enlist(self.task, self.brief, pulse, extra);
    }
}
