//! How a request stops its tasks.

use tokio_util::sync::CancellationToken;

use super::Registry;
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

    /// Makes the tasks stop, those that are tokio's.
    pub(crate) fn abort_unfinished(&self) {
        // A copy: on a runtime that is gone an abort may drop the task, which looks in here.
        let handles = self.ledger().abortable();
        for handle in handles {
            let _ = panics::caught(|| handle.abort());
        }
    }
}
