//! Marks a task that is dropped before its end.

use std::cell::Cell;

use tokio::runtime::Handle;

thread_local! {
    /// True while this thread drops a task before its end.
    static ABANDONED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `drop_task`, which drops a task before its end: because it was aborted, or because its runtime shuts down. A
/// handler that is a part of the task must not run on, so [`can_spawn_rest`] returns false meanwhile.
pub(crate) fn abandon(drop_task: impl FnOnce()) {
    // Fails only on a thread that is being torn down. No handler can run on there.
    let outer = ABANDONED.try_with(|abandoned| abandoned.replace(true));
    // A guard, so that a destructor that panics resets it too.
    let _reset = outer.map(Reset);
    drop_task();
}

struct Reset(bool);

impl Drop for Reset {
    fn drop(&mut self) {
        let _ = ABANDONED.try_with(|abandoned| abandoned.set(self.0));
    }
}

/// Returns true if a handler that is dropped now can run on: there is a runtime, and the handler is not dropped as a
/// part of its task.
pub(crate) fn can_spawn_rest() -> bool {
    let abandoned = ABANDONED.try_with(Cell::get).unwrap_or(true);
    !abandoned && Handle::try_current().is_ok()
}
