//! Virtual time.

use std::time::Duration;

use tokio::runtime::Builder;

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Runs `code` in a runtime of its own, whose clock stands still while anything can run and then jumps to the
/// next timer. Nothing is left of it for the next run.
pub(crate) fn run<T>(code: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O asks nothing of the system");
    runtime.block_on(code)
}
