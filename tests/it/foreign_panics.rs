//! Subscribers and recorders that panic: what is not ours, and runs in the middle of ours.

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tokio::runtime::Builder;
use tokio::time::Instant;
use tower_task_tracker::{TaskTrackerLayer, spawn};
use tracing::span::{Attributes, Id, Record};

use crate::support::{Log, after, held, ms};

struct NoSpans;

impl tracing::Subscriber for NoSpans {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        panic!("no span can be made")
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_span_cannot_be_made_runs_and_is_waited_for() {
    let _guard = tracing::subscriber::set_default(NoSpans);
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let spawns = || {
        spawn(after(20));
    };
    assert_eq!(held(&layer, spawns).await, ms(20));
    assert_eq!(log.report().completed, 1);
    layer.handle().wait_idle().await;
}

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
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    metrics::with_local_recorder(&NoMetrics, || {
        runtime.block_on(async {
            let log = Log::default();
            let layer = TaskTrackerLayer::new().on_drain(log.clone());
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
