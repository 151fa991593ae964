//! Every metric is described.

use metrics::Unit;
use metrics_util::MetricKind;
use metrics_util::debugging::DebuggingRecorder;
use tower::ServiceExt;
use tower_task_tracker::{TaskTrackerLayer, describe_metrics, named};

use super::meter::PREFIX;
use crate::support::{after, current, ms, request, tracked};

#[tokio::test(start_paused = true)]
async fn every_metric_is_described_with_its_unit_and_named_by_the_rules_of_prometheus() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    describe_metrics();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(50))
        .max_live_tasks(1);
    let service = tracked(&layer, || {
        named("slow").spawn(after(100));
        let tasks = current();
        tokio::spawn(async move {
            after(90).await;
            tasks.spawn(async {});
        });
    });
    drop(service.clone().oneshot(request()).await);
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;

    let mut names = Vec::new();
    for (key, unit, description, _) in recorder.snapshotter().snapshot().into_vec() {
        let name = key.key().name();
        let description = description.expect("each is described").to_string();
        assert!(description.ends_with('.'), "a sentence: {description}");
        // https://prometheus.io/docs/practices/naming: base units, and `_total` for what counts up.
        let seconds = key.kind() == MetricKind::Histogram;
        let wanted = if seconds { Unit::Seconds } else { Unit::Count };
        assert_eq!(unit, Some(wanted), "{name}");
        assert_eq!(name.ends_with("_seconds"), seconds, "{name}");
        let counts_up = key.kind() == MetricKind::Counter;
        assert_eq!(name.ends_with("_total"), counts_up, "{name}");
        for label in key.key().labels() {
            let named = ["outcome", "state", "task", "reason"].contains(&label.key());
            assert!(named, "a label without bounds: {label:?}");
        }
        names.push(name.strip_prefix(PREFIX).expect("ours").to_owned());
    }
    names.sort();
    names.dedup();
    let all = [
        "drain_duration_seconds",
        "held_responses",
        "late_spawns_total",
        "live_tasks",
        "shed_requests_total",
        "stragglers_total",
        "tasks_total",
    ];
    assert_eq!(names, all);
}
