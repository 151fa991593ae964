//! How a request stops its tasks.

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::Registry;
use super::entry::Entry;
use crate::panics;

impl Registry {
    /// A child of the request's token, which is made now if it was not asked for before.
    pub(crate) fn cancellation_token(&self) -> CancellationToken {
        let (token, cancelled) = {
            let mut ledger = self.ledger();
            let cancelled = ledger.cancelled;
            (ledger.token.get_or_insert_default().clone(), cancelled)
        };
        if cancelled {
            token.cancel();
        }
        token.child_token()
    }

    /// Asks the tasks to stop, once.
    pub(crate) fn cancel(&self) {
        let token = {
            let mut ledger = self.ledger();
            if ledger.cancelled {
                return;
            }
            ledger.cancelled = true;
            ledger.token.clone()
        };
        // Outside of the lock: it calls wakers, which are not ours, and may do so in a destructor.
        if let Some(token) = token {
            let _ = panics::caught(|| token.cancel());
        }
    }

    /// The process shuts down: whoever waits looks at the deadline again. The work of the process
    /// itself has none, and is asked to stop at once.
    pub(super) fn hear_of_shutdown(&self) {
        if self.is_process() {
            self.cancel();
        }
        self.live.wake();
    }

    /// The client is gone. A handler that runs on is spared from now on.
    pub(crate) fn note_client_gone(&self) {
        self.ledger().client_gone = true;
    }

    pub(crate) fn is_client_gone(&self) -> bool {
        self.ledger().client_gone
    }

    /// Makes the tasks stop that are unfinished, those that are tokio's.
    pub(crate) fn abort_unfinished(&self) {
        abort(|| {
            let ledger = self.ledger();
            let is_spared = |entry: &Entry| ledger.client_gone && entry.brief.is_handler;
            ledger.abortable(|entry| entry.is_unfinished() && !is_spared(entry))
        });
    }

    /// Makes every task stop but these, those that are tokio's.
    pub(crate) fn abort_all_but(&self, spared: &[u32]) {
        abort(|| {
            let ledger = self.ledger();
            ledger.abortable(|entry| !spared.contains(&entry.id))
        });
    }
}

/// `which`: a copy, made under the lock. On a runtime that is gone an abort may drop the task, which
/// takes the lock itself.
fn abort(which: impl FnOnce() -> Vec<AbortHandle>) {
    let handles = which();
    for handle in handles {
        let _ = panics::caught(|| handle.abort());
    }
}
