//! Virtual time, also for the other targets of the fuzzer.

use std::time::Duration;

use tokio::runtime::Builder;

/// A duration in milliseconds.
#[must_use]
pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Runs `code` in a runtime of its own. Its clock stands still while anything can run, and then jumps to the next timer.
/// Nothing is left of it for the next run.
///
/// # Panics
///
/// If `code` panics.
pub fn run<T>(code: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O asks nothing of the system");
    runtime.block_on(code)
}
