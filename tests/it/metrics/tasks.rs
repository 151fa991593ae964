//! The counters of tasks.

use std::future::pending;
use std::panic::resume_unwind;

use metrics_util::debugging::DebuggingRecorder;
use tokio::task::yield_now;
use tower::ServiceExt;
use tower_task_tracker::{TaskTrackerLayer, Unfinished, named, scope, spawn};

use super::meter::{Meter, owned};
use crate::support::{after, current, ms, request, tracked};

async fn fails() -> Result<(), &'static str> {
    Err("on purpose")
}

async fn panics() {
    // Without the hook, which would print it.
    resume_unwind(Box::new("on purpose"))
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_handed_off_is_counted_as_that_and_one_that_is_not_by_its_own_end() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let service = tracked(&TaskTrackerLayer::new(), || {
        let receipt = || named("receipt");
        receipt()
            .or_hand_off(|_| async { Ok::<_, &str>(()) })
            .spawn(fails());
        receipt().or_hand_off(|_| fails()).spawn(fails());
        receipt()
            .or_hand_off(|_| fails())
            .spawn(async { Ok::<_, &str>(()) });
    });
    drop(service.oneshot(request()).await);
    let ended = [
        ("state=completed,task=receipt", 1.0),
        ("state=failed,task=receipt", 1.0),
        ("state=handed_off,task=receipt", 1.0),
    ];
    assert_eq!(meter.tasks(), owned(&ended));
    assert_eq!(meter.number("failed_hand_offs_total"), 1.0);
    assert_eq!(meter.number("live_tasks"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_that_is_late_is_a_straggler_and_is_counted_at_its_end() {
    let recorder = DebuggingRecorder::new();
    let _recorded = metrics::set_default_local_recorder(&recorder);
    let mut meter = Meter::new(&recorder);
    let layer = TaskTrackerLayer::new().drain_timeout(ms(1000));
    let service = tracked(&layer, || {
        let late = named("late").or_hand_off(async |_| {
            after(5000).await;
            Ok::<_, &str>(())
        });
        late.spawn(fails());
    });
    drop(service.oneshot(request()).await);
    assert_eq!(meter.tasks(), []);
    assert_eq!(meter.stragglers(), owned(&[("reason=deadline", 1.0)]));
    assert_eq!(meter.number("live_tasks"), 1.0);
    layer.handle().wait_idle().await;
    assert_eq!(meter.tasks(), owned(&[("state=handed_off,task=late", 1.0)]));
    assert_eq!(meter.number("failed_hand_offs_total"), 0.0);
    assert_eq!(meter.number("live_tasks"), 0.0);
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
