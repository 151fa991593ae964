//! What is recorded of a task that was handed off: the log, its name, and a queue in a file.

use std::fs::{self, File};
use std::io::{self, Write};

use tower::ServiceExt;
use tower_task_tracker::{TaskTrackerLayer, named, scope};

use super::{Queue, full_queue, work};
use crate::subscribers::lines::{Lines, logged};
use crate::support::{Log, ms, request, tracked};

async fn declined() -> Result<(), &'static str> {
    Err("the card was refused")
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_is_logged_with_the_task_the_location_and_the_reason() {
    let queue = Queue::new();
    let lines = logged(TaskTrackerLayer::new(), move || {
        queue.task().spawn(declined());
    })
    .await;
    let line = lines.with("handed off task=");
    assert!(
        line.starts_with(" INFO request{id=7}") || line.starts_with("INFO request{id=7}"),
        "{line}"
    );
    assert!(line.contains("task=late (handed off"), "{line}");
    assert!(
        line.contains("location=tests/it/hand_off/mod.rs:")
            || line.contains("location=tests/it/hand_off/"),
        "{line}"
    );
    assert!(line.contains("why=failed"), "{line}");
    assert!(line.contains(r#"error="the card was refused""#), "{line}");
    assert_eq!(lines.count("ERROR"), 0, "{}", lines.text());
    assert_eq!(lines.count("WARN"), 0, "{}", lines.text());
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_that_fails_is_logged_as_an_error_with_both_messages() {
    let lines = logged(TaskTrackerLayer::new(), || {
        named("late").or_hand_off(full_queue).spawn(declined());
    })
    .await;
    let line = lines.with("the hand-off of a task failed");
    assert!(line.starts_with("ERROR"), "{line}");
    assert!(line.contains("the queue is full"), "{line}");
    assert!(line.contains("why=failed"), "{line}");
    assert!(line.contains(r#"error="the card was refused""#), "{line}");
    assert_eq!(lines.count("handed off task="), 0, "{}", lines.text());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_completes_logs_nothing_of_its_hand_off() {
    let queue = Queue::new();
    let lines: Lines = logged(TaskTrackerLayer::new(), move || {
        queue.task().spawn(work(10));
    })
    .await;
    assert_eq!(
        lines.count("hand"),
        lines.count("tests/it/hand_off"),
        "{}",
        lines.text()
    );
}

#[tokio::test(start_paused = true)]
async fn the_report_has_the_computed_name_of_a_task_that_was_handed_off_or_was_not() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let queue = Queue::new();
    let service = tracked(&layer, move || {
        queue.after(named(format!("order {}", 7))).spawn(declined());
    });
    drop(service.oneshot(request()).await);
    let last = log.report().last.expect("the response waited for it");
    assert_eq!(last.name.as_deref(), Some("order 7"));

    let log = Log::default();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let service = tracked(&layer, move || {
        let task = named(format!("order {}", 8));
        task.or_hand_off(full_queue).spawn(declined());
    });
    drop(service.oneshot(request()).await);
    assert_eq!(log.report().failures[0].name.as_deref(), Some("order 8"));
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_spawn_may_have_a_hand_off() {
    let queue = Queue::new();
    let tasks = queue.clone();
    let local = tokio::task::LocalSet::new();
    let ((), report) = local
        .run_until(scope(|_| async move {
            let runtime = tokio::runtime::Handle::current();
            let other = tokio::task::LocalSet::new();
            tasks.task().spawn(declined());
            tasks.task().spawn_on(declined(), &runtime);
            tasks.task().spawn_local(declined());
            let on_other = tasks.task().spawn_local_on(declined(), &other);
            assert!(other.run_until(on_other).await.expect("no panic").is_err());
            let closure = || Err::<(), _>("no stock");
            tasks.task().spawn_blocking(closure);
            tasks.task().spawn_blocking_on(closure, &runtime);
        }))
        .await;
    assert_eq!((report.spawned, report.handed_off), (6, 6), "{report}");
    assert_eq!(queue.entries().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn what_is_pushed_into_a_file_and_synced_is_there_when_the_response_goes_out() {
    let path = std::env::temp_dir().join(format!("hand-off-{}", std::process::id()));
    let queue = path.clone();
    let layer = TaskTrackerLayer::new().drain_timeout(ms(1000));
    let service = tracked(&layer, move || {
        let queue = queue.clone();
        named("receipt")
            .or_hand_off(move |why| async move {
                let mut file = File::create(queue)?;
                file.write_all(format!("receipt 7: {why}\n").as_bytes())?;
                file.sync_all()?;
                Ok::<_, io::Error>(())
            })
            .spawn(work(600_000));
    });
    let response = service.oneshot(request()).await.expect("infallible");
    let queued = fs::read_to_string(&path);
    // Before the assertions, so that the file does not stay behind.
    let removed = fs::remove_file(&path);
    assert_eq!(response.status(), 200);
    assert_eq!(queued.expect("the file is there"), "receipt 7: deadline\n");
    assert!(removed.is_ok());
}
