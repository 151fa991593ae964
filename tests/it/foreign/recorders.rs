//! Recorders of metrics that panic.

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tokio::time::Instant;
use tower_task_tracker::spawn;

use crate::support::{after, held, ms, observed, paused_runtime};

struct NoMetrics;

impl Recorder for NoMetrics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        panic!("no counter can be made")
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        panic!("no gauge can be made")
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("no histogram can be made")
    }
}

#[test]
fn a_recorder_that_panics_loses_no_task() {
    let runtime = paused_runtime();
    metrics::with_local_recorder(&NoMetrics, || {
        runtime.block_on(async {
            let (log, layer) = observed();
            let begin = Instant::now();
            held(&layer, || {
                spawn(after(20));
                spawn(async { panic!("boom") });
            })
            .await;
            assert_eq!(begin.elapsed(), ms(20));
            let report = log.report();
            assert_eq!((report.completed, report.panicked), (1, 1), "{report}");
            layer.handle().wait_idle().await;
        });
    });
}
