//! The memory of a request that is over, kept for the next one on the same thread.

use std::cell::Cell;
use std::sync::{Arc, PoisonError};

use super::detached::Detached;
use super::live::Live;
use super::{Kind, Registry};
use crate::trace::Span;

thread_local! {
    static SPARE: Cell<Option<Arc<Registry>>> = const { Cell::new(None) };
}

/// One that nobody else has, and that belongs to nothing.
pub(super) fn take() -> Arc<Registry> {
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    spare.unwrap_or_else(|| Arc::new(Registry::unused(Kind::Request)))
}

/// Keeps a request whose owner is done with it, unless somebody else still has it: a task, the roster, or
/// who was handed its [`Tasks`](crate::Tasks).
pub(crate) fn keep(mut registry: Arc<Registry>) {
    let Some(own) = Arc::get_mut(&mut registry) else {
        return;
    };
    own.reset();
    // On a thread that is being torn down it is dropped.
    let _ = SPARE.try_with(|spare| spare.set(Some(registry)));
}

impl Registry {
    /// Forgets everything. What it drops here may be anything: nothing is borrowed meanwhile.
    fn reset(&mut self) {
        let Self {
            live,
            detached,
            required,
            any_required,
            ledger,
            is_ledger_used,
            anonymous,
            shared,
            span,
            // Nobody tells of it, or finds it on the roster, whom nobody else has.
            telling: _,
            seat: _,
            handler_goes_on,
            over,
            is_tuned,
            task_spans,
            id,
            kind: _,
        } = self;
        *shared = None;
        if !span.is_none() {
            *span = Span::none();
        }
        *id = None;
        let is_fresh = live.is_fresh() && !*is_ledger_used.get_mut();
        if is_fresh {
            // Most are: whoever does anything with a request leaves one of these marks.
            return;
        }
        *live = Live::new();
        *detached = Detached::default();
        *required.get_mut() = 0;
        *any_required.get_mut() = false;
        ledger
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .reset();
        *is_ledger_used.get_mut() = false;
        anonymous.take();
        *handler_goes_on.get_mut() = false;
        *over.get_mut() = false;
        *is_tuned.get_mut() = false;
        *task_spans.get_mut() = true;
    }
}
