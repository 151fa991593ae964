//! Who is alive in a request, for a look from outside.

use tokio::time::Instant;

use super::Registry;
use crate::report::LiveTask;

impl Registry {
    /// `but`: tasks that are left out.
    pub(crate) fn snapshot(&self, but: &[u32]) -> Vec<LiveTask> {
        // Who has no age yet gets one from here on.
        self.stamp();
        let now = Instant::now();
        let mut alive = self.ledger().alive(now, but);
        alive.extend(self.anonymous().into_iter().flat_map(|a| a.alive(now)));
        let released = self.is_released();
        let live = alive.into_iter().map(|task| LiveTask {
            name: task.name,
            location: task.location,
            age: task.age,
            request_id: self.id.clone(),
            released,
        });
        live.collect()
    }
}
