//! Whether a task is being dropped before its end.

use std::cell::Cell;

use tokio::runtime::Handle;

thread_local! {
    /// A task is being dropped before its end.
    static ABANDONED: Cell<bool> = const { Cell::new(false) };
}

/// Drops a task before its end: by an abort, or with its runtime. Handlers in it end with it.
pub(super) fn abandon(task: impl FnOnce()) {
    // On a thread that is being torn down no handler can run on.
    let outer = ABANDONED.try_with(|abandoned| abandoned.replace(true));
    // Also when the destructor panics.
    let _reset = outer.map(Reset);
    task();
}

struct Reset(bool);

impl Drop for Reset {
    fn drop(&mut self) {
        let _ = ABANDONED.try_with(|abandoned| abandoned.set(self.0));
    }
}

/// Returns whether a handler that is dropped now can run on: there is a runtime, and the handler is not dropped with the
/// task that it is a part of.
pub(crate) fn can_run_on() -> bool {
    let abandoned = ABANDONED.try_with(Cell::get).unwrap_or(true);
    !abandoned && Handle::try_current().is_ok()
}
