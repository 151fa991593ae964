//! The two clocks that the tests run by.

use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::support::paused_runtime;

/// Runs in paused time: a timer fires when, and only when, every task of the runtime is idle. For
/// connections in memory.
pub(crate) fn paused<F: Future>(test: F) -> F::Output {
    paused_runtime().block_on(test)
}

/// Runs in real time, with an overall limit. For sockets.
pub(crate) fn real<F: Future>(test: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build();
    let limited = runtime.expect("a runtime").block_on(async {
        let limit = Duration::from_secs(10);
        timeout(limit, test).await
    });
    limited.expect("something that has to arrive did not")
}

/// What comes before every task is idle. In paused time only.
pub(crate) async fn soon<F: Future>(event: F) -> F::Output {
    let limited = timeout(Duration::from_millis(1), event).await;
    limited.expect("nothing is left to do, and it has not come")
}
