//! What only a response asks of its drain.

use std::future::poll_fn;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::{Drain, Stage};
use crate::report::{DrainReport, Outcome};

impl Drain {
    /// From now on the response is not kept back.
    pub(crate) fn keep_nothing_back(&mut self) {
        self.keeps_back = false;
    }

    /// From now on, being dropped is an end like any other: the server has all it needs, and may
    /// not ask for more.
    pub(crate) fn complete(&mut self) {
        if let Stage::Open { complete } = &mut self.stage {
            *complete = true;
        }
    }

    /// Whether a task is alive that the response has to wait for.
    pub(crate) fn must_wait(&self) -> bool {
        self.keeps_back && self.has_to_drain()
    }

    /// Whether everything was said.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// What there is to say while the response is not at its end; `None` if nothing was spawned.
    pub(crate) fn report_so_far(&self) -> Option<Arc<DrainReport>> {
        match &self.stage {
            Stage::Expired(report) => report.clone(),
            Stage::Over => None,
            Stage::Open { .. } => {
                let registry = self.registry()?;
                let spawned = registry.spawned();
                if spawned == 0 && registry.anonymous().is_none() {
                    return None;
                }
                self.report(Outcome::Drained, None, spawned, &registry.ledger())
            }
        }
    }

    /// Ends the request because the exchange goes on as an upgraded stream. Its tasks stay with
    /// the handle, and what it spawns later is not late.
    pub(crate) fn upgrade(&mut self) {
        if let Some(registry) = self.registry() {
            registry.ledger().goes_on = true;
        }
        let report = self.give_up(Outcome::Upgraded, None);
        self.conclude(report.as_ref());
    }

    /// The response has ended and was not kept back: the wait goes on without it.
    pub(super) fn finish_in_background(&mut self) {
        let mut drain = self.take();
        // Dropped from now on, by a runtime that shuts down or where there is none, it is reported
        // as it stands.
        drain.stage = Stage::Open { complete: false };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                loop {
                    poll_fn(|cx| drain.poll_drained(cx)).await;
                    if drain.finish().is_ok() {
                        break;
                    }
                }
            });
        }
    }
}
