//! How a test is run.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::timeout;

/// More than anything here takes, however busy the machine is.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Client and server share the test's thread. What hangs fails.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let ended = runtime.block_on(async { timeout(LIMIT, test).await });
    ended.expect("the test ends in time")
}
