//! A client that leaves where there is no runtime, or where the runtime ends.

use std::time::Duration;

use tower::ServiceExt;
use tower_task_tracker::Unfinished;

use super::{dropped, layer, slow};
use crate::support::{DropTime, Log, ms, request, runtime, tracked};

#[test]
fn without_a_runtime_tasks_are_aborted_and_reported_at_once() {
    for unfinished in [Unfinished::Abort, Unfinished::Cancel { grace: ms(500) }] {
        let runtime = runtime();
        let log = Log::default();
        let layer = layer(&log, unfinished);
        let service = tracked(&layer, slow(&DropTime::new()));
        let mut held = Box::pin(service.oneshot(request()));
        runtime.block_on(async {
            let polled = futures_util::poll!(&mut held);
            assert!(polled.is_pending());
        });
        drop(held);
        let report = dropped(&log);
        assert_eq!(report.aborted + report.stragglers.len(), 1);
        // It is aborted: its runtime drops it when it is driven again.
        runtime.block_on(layer.handle().wait_idle());
    }
}

#[test]
fn a_runtime_that_shuts_down_before_the_grace_is_over_reports_too() {
    let runtime = runtime();
    let log = Log::default();
    let grace = Duration::from_secs(3600);
    let layer = layer(&log, Unfinished::Cancel { grace });
    runtime.block_on(async {
        let mut held = Box::pin(tracked(&layer, slow(&DropTime::new())).oneshot(request()));
        let polled = futures_util::poll!(&mut held);
        assert!(polled.is_pending());
        drop(held);
    });
    assert!(log.reports().is_empty());
    drop(runtime);
    let report = dropped(&log);
    assert_eq!(report.aborted + report.stragglers.len(), 1);
    assert_eq!(layer.handle().live_requests(), 0);
}
