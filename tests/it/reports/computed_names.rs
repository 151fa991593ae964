//! A computed name is wherever a name is, and only at its own task.

use tower::ServiceExt;
use tower_task_tracker::{
    DrainReport, Outcome, TaskInfo, TaskTrackerLayer, TrackerHandle, Unfinished, named, scope,
    spawn,
};

use crate::support::{Log, Slot, after, current, ms, put, request, take, tracked};

fn name(task: &TaskInfo) -> Option<&str> {
    task.name.as_deref()
}

fn last(report: &DrainReport) -> Option<&str> {
    report.last.as_ref().and_then(name)
}

#[tokio::test(start_paused = true)]
async fn the_last_task_of_a_report_has_its_own_name_whatever_ran_before_and_beside_it() {
    let (_, report) = scope(async |tasks| {
        tasks.named(format!("order {}", 1)).spawn(after(10));
        tasks.named(format!("order {}", 2)).spawn(after(30));
        tasks.named("static").spawn(after(20));
    })
    .await;
    assert_eq!(last(&report), Some("order 2"));
    let (_, report) = scope(async |tasks| {
        tasks.named(format!("order {}", 3)).spawn(after(10));
        tasks.spawn(after(20));
    })
    .await;
    assert_eq!(
        last(&report),
        None,
        "the slot and the request were another's"
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_in_the_slot_of_a_named_one_does_not_take_its_name() {
    let handle = TrackerHandle::new();
    let tasks = handle.process_tasks();
    let first = tasks.named(String::from("first")).token();
    let names = |handle: &TrackerHandle| {
        let tasks = handle.snapshot().into_iter();
        tasks.map(|task| task.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&handle), [Some("first".into())]);
    let copy = first.clone();
    drop(first);
    let unnamed = tasks.token();
    assert_eq!(
        names(&handle),
        [Some("first".into()), None],
        "a clone has the name"
    );
    drop(copy);
    assert_eq!(names(&handle), [None]);
    drop(unnamed);
}

#[tokio::test(start_paused = true)]
async fn failures_stragglers_and_late_ends_have_them() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(50))
        .at_deadline(Unfinished::Continue)
        .observer(log.clone());
    let kept = Slot::default();
    let slot = kept.clone();
    let service = tracked(&layer, move || {
        let fails = async { Err::<(), _>("no stock") };
        named(format!("order {}", 1)).fallible().spawn(fails);
        named(format!("order {}", 2)).spawn(after(80));
        spawn(after(10));
        put(&slot, current());
    });
    drop(service.oneshot(request()).await);
    let report = log.report();
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
    assert_eq!(name(&report.failures[0]), Some("order 1"), "{report}");
    assert_eq!(name(&report.stragglers[0]), Some("order 2"), "{report}");
    let tasks = take(&kept);
    tasks.named(format!("order {}", 3)).spawn(after(5));
    assert_eq!(name(&log.late_spawns()[0]), Some("order 3"));
    layer.handle().wait_idle().await;
    let ends = log.late_ends();
    let ends: Vec<_> = ends.iter().map(name).collect();
    assert_eq!(ends, [Some("order 3"), Some("order 2")]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_may_be_refused_has_it_if_it_is_not() {
    let kept = Slot::default();
    let slot = kept.clone();
    let (_, report) = scope(async move |tasks| {
        let task = tasks.named(format!("order {}", 1)).try_spawn(after(10));
        assert!(task.is_ok());
        put(&slot, tasks);
    })
    .await;
    assert_eq!(last(&report), Some("order 1"));
    let refused = take(&kept)
        .named(format!("order {}", 2))
        .try_spawn(after(10));
    assert!(refused.is_err());
}
