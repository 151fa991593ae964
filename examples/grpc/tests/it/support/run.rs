//! Runs a test.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::timeout;

/// More than any test takes, even on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Runs a test with client and server on the same thread. A test that hangs fails.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let ended = runtime.block_on(async { timeout(LIMIT, test).await });
    ended.expect("the test ends in time")
}
