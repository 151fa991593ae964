//! Required tasks that do not complete: one ERROR.

use std::convert::Infallible;
use std::future::pending;

use tower::{Service, ServiceExt};
use tower_task_tracker::{Outcome, TaskBuilder, TaskTrackerLayer, Unfinished, named, scope, spawn};

use crate::subscribers::lines::{Lines, logged};
use crate::support::{Log, after, current, ms, request, tracked};

fn errors(lines: &Lines) -> usize {
    let text = lines.text();
    let levels = text.lines().map(str::trim_start);
    levels.filter(|line| line.starts_with("ERROR")).count()
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_does_not_complete_is_one_error_that_names_it() {
    let fails: fn(TaskBuilder) = |task| {
        task.required().spawn(async { Err::<(), _>("no stock") });
    };
    let panics: fn(TaskBuilder) = |task| {
        let work = async {
            if true {
                std::panic::resume_unwind(Box::new("no stock"));
            }
            Ok::<_, &str>(())
        };
        task.required().spawn(work);
    };
    let aborts: fn(TaskBuilder) = |task| {
        let work = pending::<Result<(), &str>>();
        task.required().spawn(work).abort();
    };
    let late: fn(TaskBuilder) = |task| {
        task.required().spawn(pending::<Result<(), &str>>());
    };
    for (what, own, spawn) in [
        ("failed", Some("WARN"), fails),
        ("panicked", Some("WARN"), panics),
        ("was dropped before its end", None, aborts),
        ("is late", None, late),
    ] {
        let layer = TaskTrackerLayer::new().drain_timeout(ms(10));
        let lines = Lines::default();
        let _recording = lines.record();
        drop(
            tracked(&layer, move || spawn(named("order")))
                .oneshot(request())
                .await,
        );
        assert_eq!(errors(&lines), 1, "{what}: {}", lines.text());
        let line = lines.with("a task that the response depends on has failed");
        assert!(line.contains("order ("), "{what}: {line}");
        if let Some(level) = own {
            let line = lines.with(&format!("a required task {what}"));
            assert!(line.starts_with(level), "{line}");
            assert!(line.contains("task=order ("), "{line}");
        }
    }
}

/// Late for its response, which is the error, and not once more when it fails in the end.
#[tokio::test(start_paused = true)]
async fn a_required_task_that_is_late_and_then_fails_is_one_error() {
    for panics in [false, true] {
        let layer = TaskTrackerLayer::new().drain_timeout(ms(10));
        let lines = logged(layer, move || {
            named("order").required().spawn(async move {
                after(100).await;
                if panics {
                    std::panic::resume_unwind(Box::new("no stock"));
                }
                Err::<(), _>("no stock")
            });
        })
        .await;
        assert_eq!(errors(&lines), 1, "{}", lines.text());
        let line = lines.with(if panics {
            "task panicked"
        } else {
            "task failed"
        });
        assert!(line.starts_with("WARN"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn required_tasks_that_are_aborted_for_a_client_that_left_are_no_error() {
    let layer = TaskTrackerLayer::new().at_disconnect(Unfinished::Abort);
    let lines = Lines::default();
    let _recording = lines.record();
    let service = tracked(&layer, || {
        let order = named("order").required();
        order.spawn(pending::<Result<(), &str>>());
    });
    let left = tokio::time::timeout(ms(10), service.oneshot(request())).await;
    assert!(left.is_err(), "it was held");
    layer.handle().wait_idle().await;
    assert_eq!(errors(&lines), 0, "{}", lines.text());
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_is_in_no_report_has_an_error_of_its_own() {
    let lines = logged(TaskTrackerLayer::new(), || {
        let tasks = current();
        tokio::spawn(async move {
            after(10).await;
            let late = tasks.named("late").required();
            late.spawn(async { Err::<(), _>("no stock") });
        });
        spawn(async {});
        // The handle sees nothing else until then.
        named("slow").detached().spawn(after(20));
    })
    .await;
    assert_eq!(errors(&lines), 1, "{}", lines.text());
    let line = lines.with("a required task failed");
    assert!(line.starts_with("ERROR"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_task_that_nothing_depends_on_is_an_error() {
    let lines = logged(TaskTrackerLayer::new(), || {
        spawn(async { std::panic::resume_unwind(Box::new("planned")) });
    })
    .await;
    let line = lines.with("a tracked task panicked");
    assert!(line.starts_with("ERROR"), "{line}");
    assert_eq!(errors(&lines), 1, "{}", lines.text());
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_did_not_complete_is_an_error_in_the_log_where_no_response_fails_too()
{
    let lines = Lines::default();
    let _recording = lines.record();
    scope(|_| async {
        named("order")
            .required()
            .spawn(async { Err::<(), _>("no") });
    })
    .await;
    let line = lines.with("the response depends on");
    assert!(line.starts_with("ERROR"), "{line}");
}

/// What is aborted for a client that left is no error. What fails by itself then is one.
#[tokio::test(start_paused = true)]
async fn a_required_task_that_fails_after_its_client_left_has_an_error_beside_one_that_was_aborted()
{
    let lines = Lines::default();
    let _recording = lines.record();
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .at_disconnect(Unfinished::Abort)
        .observer(log.clone());
    let mut service = tracked(&layer, || {
        named("aborted").required().spawn(async {
            after(600_000).await;
            Ok::<_, Infallible>(())
        });
        // It is not the crate's to abort.
        let store = named("store").required().track_future(async {
            after(500).await;
            Err::<(), _>("full")
        });
        tokio::spawn(store);
    });
    let left = tokio::time::timeout(ms(10), service.call(request())).await;
    assert!(left.is_err(), "it is held");
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_eq!((report.outcome, report.aborted), (Outcome::Dropped, 1));
    let line = lines.with("a required task failed");
    assert!(line.starts_with("ERROR"), "{line}");
    assert!(line.contains("store"), "{line}");
    let errors = lines.text();
    let errors = errors.lines().filter(|line| line.contains("ERROR"));
    assert_eq!(errors.count(), 1, "{}", lines.text());
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_that_fails_is_a_warning_also_where_it_was_to_be_required() {
    let lines = logged(TaskTrackerLayer::new(), || {
        let task = named("cache").required().detached();
        task.spawn(async { Err::<(), _>("cold") });
    })
    .await;
    let line = lines.with("a tracked task failed");
    assert!(line.starts_with("WARN"), "{line}");
    assert_eq!(lines.count("a required task failed"), 0);
}
