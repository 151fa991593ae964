//! The memory of a request that is over, kept for the next one on the same thread.

use std::cell::Cell;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, PoisonError};

use super::detached::Detached;
use super::live::Live;
use super::span::{OpenSpan, SpanRef};
use super::{Kind, Registry, Shared};
use crate::settings::Settings;

thread_local! {
    static SPARE: Cell<Option<Arc<Registry>>> = const { Cell::new(None) };
}

/// A request that is in no other hands, and the span that it is served in. `id`: what the request calls itself.
pub(crate) fn take(shared: &Arc<Shared>, id: Option<String>) -> (Arc<Registry>, OpenSpan) {
    let span = OpenSpan::current();
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    let mut registry = spare.unwrap_or_else(|| Arc::new(Registry::unused(Kind::Request)));
    let belongs = registry.shared.as_ref();
    let belongs = belongs.is_some_and(|own| Arc::ptr_eq(own, shared));
    if belongs && id.is_none() && span.is_none() {
        // The ordinary case, without a single locked instruction.
        return (registry, span);
    }
    let Some(own) = Arc::get_mut(&mut registry) else {
        unreachable!("nobody else has a spare")
    };
    if !belongs {
        *own.task_spans.get_mut() = shared.settings.has_task_spans();
        own.shared = Some(shared.clone());
    }
    own.id = id;
    own.span = span.downgrade();
    (registry, span)
}

/// Keeps a request whose owner is done with it, unless somebody else still has it: a task, the roster, or
/// who was handed its [`Tasks`](crate::Tasks).
pub(crate) fn keep(mut registry: Arc<Registry>) {
    if !is_as_good_as_new(&registry) {
        let Some(own) = Arc::get_mut(&mut registry) else {
            return;
        };
        own.reset();
    }
    // On a thread that is being torn down it is dropped.
    let _ = SPARE.try_with(|spare| spare.set(Some(registry)));
}

/// Whether nobody else has it, and the next request finds in it what this one did.
fn is_as_good_as_new(registry: &Arc<Registry>) -> bool {
    let is_alone = Arc::strong_count(registry) == 1;
    // Whoever let go of it has done so after all that he did with it.
    fence(Ordering::Acquire);
    // Without a mark it never was on the roster, which is who else could find it.
    is_alone
        && registry.is_unmarked()
        && registry.id.is_none()
        && registry.span.is_none()
        && registry.shared.as_deref().is_some_and(Shared::may_stay)
}

impl Shared {
    /// Whether nothing of the user's is in it: what a thread keeps until it ends must not keep the channel
    /// that an observer has an end of.
    fn may_stay(&self) -> bool {
        let Settings {
            hooks, observers, ..
        } = &self.settings;
        hooks.is_empty() && observers.is_empty()
    }
}

impl Registry {
    /// Whether nobody has done anything with it: who does leaves one of these marks.
    fn is_unmarked(&self) -> bool {
        let is_ledger_used = self.is_ledger_used.load(Ordering::Relaxed);
        self.live.is_fresh() && !is_ledger_used && self.anonymous.get().is_none()
    }

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
        if !shared.as_deref().is_some_and(Shared::may_stay) {
            *shared = None;
        }
        let own = shared.as_deref();
        *task_spans.get_mut() = own.is_none_or(|own| own.settings.has_task_spans());
        *span = SpanRef::default();
        *id = None;
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
    }
}
