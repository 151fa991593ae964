//! Metrics recorded through the `metrics` facade. The recorder is local to the test's thread, and everything runs on
//! that thread.

use std::future::pending;
use std::panic::resume_unwind;

use http::{Response, StatusCode};
use http_body_util::BodyExt;
use metrics::Unit;
use metrics_util::MetricKind;
use metrics_util::debugging::DebuggingRecorder;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    Hold, TaskTrackerLayer, Unfinished, describe_metrics, named, scope, spawn,
};

use crate::metrics::meter::{Meter, PREFIX};
use crate::support::{after, current, full, ms, request, runtime, tracked};

fn owned<T: Clone>(list: &[(&str, T)]) -> Vec<(String, T)> {
    let own = |(key, value): &(&str, T)| ((*key).to_owned(), value.clone());
    list.iter().map(own).collect()
}

async fn fails() -> Result<(), &'static str> {
    Err("on purpose")
}

async fn panics() {
    // Without the hook, which would print it.
    resume_unwind(Box::new("on purpose"))
}

#[tokio::test(start_paused = true)]
async fn each_task_is_counted_once_by_its_end_and_its_name() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let service = tracked(&TaskTrackerLayer::new(), || {
        spawn(async {
            named("nested").spawn(async {});
        });
        drop(current().token());
        drop(current().named("token").token());
        drop(current().named("tracked").track_future(pending::<()>()));
        named("fallible").fallible().spawn(fails());
        named("required").required().spawn(fails());
        current().task().fallible().spawn(fails());
        named("panics").spawn(panics());
        spawn(panics());
        named("aborted").spawn(pending::<()>()).abort();
        spawn(pending::<()>()).abort();
        named("detached").detached().spawn(async {});
        named("detached").detached().fallible().spawn(fails());
    });
    drop(service.oneshot(request()).await);
    yield_now().await;
    let ended = [
        ("state=aborted", 1.0),
        ("state=aborted,task=aborted", 1.0),
        ("state=aborted,task=tracked", 1.0),
        ("state=completed", 2.0),
        ("state=completed,task=detached", 1.0),
        ("state=completed,task=nested", 1.0),
        ("state=completed,task=token", 1.0),
        ("state=failed", 1.0),
        ("state=failed,task=detached", 1.0),
        ("state=failed,task=fallible", 1.0),
        ("state=failed,task=required", 1.0),
        ("state=panicked", 1.0),
        ("state=panicked,task=panics", 1.0),
    ];
    assert_eq!(meter.tasks(), owned(&ended));
    assert_eq!(meter.number("live_tasks"), 0.0);
    assert_eq!(meter.number("late_spawns_total"), 0.0);
    assert_eq!(meter.stragglers(), []);
}

#[tokio::test(start_paused = true)]
async fn live_tasks_and_held_responses_rise_and_come_back_to_zero() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let layer = TaskTrackerLayer::new();
    let service = tracked(&layer, || {
        spawn(after(20));
        named("detached").detached().spawn(after(40));
    });
    let both = async {
        tokio::join!(
            service.clone().oneshot(request()),
            service.oneshot(request())
        )
    };
    let looks = async {
        after(10).await;
        let during = (meter.number("live_tasks"), meter.number("held_responses"));
        after(20).await;
        let released = (meter.number("live_tasks"), meter.number("held_responses"));
        (during, released)
    };
    let (_, (during, released)) = tokio::join!(both, looks);
    assert_eq!(during, (4.0, 2.0));
    assert_eq!(released, (2.0, 0.0), "the detached ones are alive");
    layer.handle().wait_idle().await;
    assert_eq!(meter.number("live_tasks"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_response_is_held_no_more_when_its_client_leaves_or_its_deadline_passes() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let layer = TaskTrackerLayer::new().drain_timeout(ms(50));
    let service = tracked(&layer, || drop(spawn(after(100))));
    assert!(
        timeout(ms(10), service.clone().oneshot(request()))
            .await
            .is_err()
    );
    assert_eq!(meter.number("held_responses"), 0.0, "its client has left");
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(meter.number("held_responses"), 0.0, "it was late");
    assert_eq!(meter.number("live_tasks"), 2.0);
    drop(response.into_body().collect().await);
    layer.handle().wait_idle().await;
    assert_eq!(meter.number("live_tasks"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_end_waits_is_held_and_one_that_is_not_kept_back_is_not() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    for (hold, held) in [(Hold::End, 1.0), (Hold::Never, 0.0)] {
        let layer = TaskTrackerLayer::new().hold(hold);
        let service = tracked(&layer, || drop(spawn(after(20))));
        let response = service.oneshot(request()).await.expect("infallible");
        let look = async {
            after(10).await;
            meter.number("held_responses")
        };
        let (_, during) = tokio::join!(response.into_body().collect(), look);
        assert_eq!(during, held, "{hold:?}");
        layer.handle().wait_idle().await;
        assert_eq!(meter.number("held_responses"), 0.0, "{hold:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_histogram_has_a_value_by_outcome_for_each_request_that_spawns() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let layer = TaskTrackerLayer::new().drain_timeout(ms(500));
    let spawns = |millis| tracked(&layer, move || drop(spawn(after(millis))));

    drop(tracked(&layer, || ()).oneshot(request()).await);
    assert_eq!(meter.drains(), [], "nothing was spawned");
    drop(spawns(20).oneshot(request()).await);
    drop(spawns(250).oneshot(request()).await);
    let unheld = tracked(&layer.clone().hold(Hold::Never), || drop(spawn(after(75))));
    let response = unheld.oneshot(request()).await.expect("infallible");
    drop(response.into_body().collect().await);
    layer.handle().wait_idle().await;
    drop(spawns(1000).oneshot(request()).await);
    drop(timeout(ms(125), spawns(1000).oneshot(request())).await);
    let upgrade = layer.layer(service_fn(async |_| {
        spawn(after(1000));
        let mut response = full("");
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        Ok::<Response<_>, std::convert::Infallible>(response)
    }));
    drop(upgrade.oneshot(request()).await);
    layer.handle().begin_shutdown(ms(75));
    drop(spawns(1000).oneshot(request()).await);

    let values = [
        ("outcome=deadline_exceeded", vec![0.5]),
        ("outcome=drained", vec![0.02, 0.25, 0.075]),
        ("outcome=dropped", vec![0.125]),
        ("outcome=shutdown", vec![0.075]),
        ("outcome=upgraded", vec![0.0]),
    ];
    assert_eq!(meter.drains(), owned(&values));
    let reasons = [
        ("reason=client_gone", 1.0),
        ("reason=deadline", 1.0),
        ("reason=shutdown", 1.0),
        ("reason=upgraded", 1.0),
    ];
    assert_eq!(meter.stragglers(), owned(&reasons), "but for two all were");
    layer.handle().wait_idle().await;
    assert_eq!(meter.number("live_tasks"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_straggler_is_counted_at_its_deadline_and_again_as_a_task_at_its_end() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let layer = TaskTrackerLayer::new().drain_timeout(ms(50));
    let service = tracked(&layer, || {
        named("slow").spawn(after(100));
        let tasks = current();
        tokio::spawn(async move {
            after(90).await;
            tasks.named("late").spawn(async {});
        });
    });
    drop(service.oneshot(request()).await);
    assert_eq!(meter.stragglers(), owned(&[("reason=deadline", 1.0)]));
    assert_eq!(meter.tasks(), [], "it runs");
    assert_eq!(meter.number("late_spawns_total"), 0.0);
    layer.handle().wait_idle().await;
    assert_eq!(meter.stragglers(), owned(&[("reason=deadline", 1.0)]));
    let ended = [
        ("state=completed,task=late", 1.0),
        ("state=completed,task=slow", 1.0),
    ];
    assert_eq!(meter.tasks(), owned(&ended));
    assert_eq!(meter.number("late_spawns_total"), 1.0);
    assert_eq!(meter.number("live_tasks"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn what_a_deadline_aborts_is_counted_as_aborted_and_not_as_a_straggler() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(50))
        .at_deadline(Unfinished::Abort);
    let service = tracked(&layer, || drop(named("slow").spawn(pending::<()>())));
    drop(service.oneshot(request()).await);
    assert_eq!(meter.tasks(), owned(&[("state=aborted,task=slow", 1.0)]));
    assert_eq!(meter.stragglers(), []);
    assert_eq!(meter.number("live_tasks"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_for_too_many_tasks_is_counted_as_shed_alone() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let layer = TaskTrackerLayer::new().max_live_tasks(2);
    let service = tracked(&layer, || {
        named("a").detached().spawn(after(100));
        named("b").detached().spawn(after(100));
    });
    let arrived = Instant::now();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let response = service.clone().oneshot(request()).await;
        statuses.push(response.expect("infallible").status());
    }
    assert_eq!(arrived.elapsed(), ms(0));
    use StatusCode as Status;
    let refused = Status::SERVICE_UNAVAILABLE;
    assert_eq!(statuses, [Status::OK, refused, refused, refused]);
    assert_eq!(meter.number("shed_requests_total"), 3.0);
    assert_eq!(meter.number("live_tasks"), 2.0);
    let drains: usize = meter.drains().iter().map(|(_, values)| values.len()).sum();
    assert_eq!(drains, 1, "no drain of those that were refused");
    layer.handle().wait_idle().await;
    assert_eq!(meter.number("live_tasks"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_spawn_that_is_refused_counts_for_nothing() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let layer = TaskTrackerLayer::new();
    layer.handle().begin_shutdown(ms(1000));
    let service = tracked(&layer, || {
        assert!(current().try_spawn(async {}).is_err());
        assert!(current().task().detached().try_spawn(async {}).is_err());
    });
    drop(service.oneshot(request()).await);
    assert_eq!(meter.tasks(), []);
    assert_eq!(meter.number("live_tasks"), 0.0);
    assert_eq!(meter.number("late_spawns_total"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn the_work_of_the_process_is_counted_as_tasks_and_as_nothing_else() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let layer = TaskTrackerLayer::new();
    layer
        .handle()
        .process_tasks()
        .named("warm up")
        .spawn(after(10));
    assert_eq!(meter.number("live_tasks"), 1.0);
    layer.handle().wait_idle().await;
    let ended = [("state=completed,task=warm up", 1.0)];
    assert_eq!(meter.tasks(), owned(&ended));
    assert_eq!(meter.number("live_tasks"), 0.0);
    assert_eq!(meter.number("late_spawns_total"), 0.0);
    assert_eq!(meter.drains(), []);
}

#[tokio::test(start_paused = true)]
async fn a_scope_is_recorded_as_a_request_is() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    scope(async |tasks| drop(tasks.named("audit").spawn(after(20)))).await;
    assert_eq!(meter.tasks(), owned(&[("state=completed,task=audit", 1.0)]));
    assert_eq!(meter.drains(), owned(&[("outcome=drained", vec![0.02])]));
    assert_eq!(meter.number("held_responses"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_computed_name_is_no_label_and_is_in_the_report() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let (_, report) = scope(async |tasks| {
        tasks.named("audit").spawn(after(10));
        tasks.named(format!("order {}", 7)).spawn(after(20));
    })
    .await;
    let ended = [
        ("state=completed", 1.0),
        ("state=completed,task=audit", 1.0),
    ];
    assert_eq!(meter.tasks(), owned(&ended));
    let last = report.last.as_ref().and_then(|task| task.name.as_deref());
    assert_eq!(last, Some("order 7"), "{report}");
}

#[test]
fn a_runtime_that_shuts_down_leaves_nothing_counted_as_alive_or_held() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let runtime = runtime();
    let service = tracked(&TaskTrackerLayer::new(), || {
        named("endless").spawn(pending::<()>());
    });
    runtime.block_on(async {
        tokio::spawn(service.oneshot(request()));
        while meter.number("held_responses") == 0.0 {
            yield_now().await;
        }
    });
    assert_eq!(meter.number("live_tasks"), 1.0);
    drop(runtime);
    assert_eq!(meter.tasks(), owned(&[("state=aborted,task=endless", 1.0)]));
    assert_eq!(meter.number("live_tasks"), 0.0);
    assert_eq!(meter.number("held_responses"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn every_metric_is_described_with_its_unit_and_named_as_prometheus_wants_it() {
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
