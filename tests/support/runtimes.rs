//! Single-threaded runtimes, for tests that are no `tokio::test`.

use tokio::runtime::{Builder, Runtime};

/// In real time.
pub(crate) fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime")
}

/// In paused time: a timer fires when, and only when, every task of the runtime is idle.
pub(crate) fn paused_runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a runtime")
}

/// Without time: where a timer is made, it panics.
pub(crate) fn timeless_runtime() -> Runtime {
    let runtime = Builder::new_current_thread().build();
    runtime.expect("a runtime without time")
}
