//! What a long request costs that calls an inner layer again and again.

use std::convert::Infallible;

use libtest_mimic::Failed;
use tokio::runtime::Builder;
use tokio::time::Instant;
use tower::{Layer, Service, service_fn};
use tower_task_tracker::{TaskScopeLayer, scope};

use crate::allocated;

pub(crate) fn a_request_does_not_grow() -> Result<(), Failed> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let layer = TaskScopeLayer::new().deadline_from(|due: &Instant| Some(*due));
    let inner = service_fn(|_: Instant| async { Ok::<_, Infallible>(()) });
    let mut service = layer.layer(inner);
    let counts = runtime.block_on(scope(|_| async move {
        let due = Instant::now() + std::time::Duration::from_secs(60);
        let mut hundred = || {
            allocated(|| {
                for _ in 0..100 {
                    drop(service.call(due));
                }
            })
        };
        // The first ones make what is kept.
        hundred();
        [hundred(), hundred()]
    }));
    let [earlier, later] = counts.0;
    assert_eq!(earlier, later, "allocations, and bytes");
    Ok(())
}
