//! Limits every wait of the tests.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

/// The limit of a wait that hangs. A wait takes a fraction of a second.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) async fn within_limit<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future)
        .await
        .unwrap_or_else(|_| panic!("{what} took longer than {LIMIT:?}"))
}
