//! What is told of a request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_task_tracker::{
    DrainReport, OnDrain, Outcome, TaskInfo, TaskTrackerLayer, Tasks, TrackerHandle, named, spawn,
};

use crate::support::{Log, after, assert_adds_up, ms, request, tracked};

#[tokio::test(start_paused = true)]
async fn the_report_of_a_held_head_rides_in_the_extensions() {
    let service = tracked(&TaskTrackerLayer::new(), || {
        named("audit").spawn(after(40));
    });
    let response = service.oneshot(request()).await.expect("infallible");
    let report = response
        .extensions()
        .get::<Arc<DrainReport>>()
        .expect("the head was held");
    assert_adds_up(report);
    assert_eq!(report.held, ms(40));
    assert_eq!(report.drain, ms(40));
    assert_eq!(
        report.last.as_ref().and_then(|task| task.name),
        Some("audit")
    );
}

#[tokio::test(start_paused = true)]
async fn tasks_that_end_before_the_handler_does_are_reported_but_not_held_for() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = tower::Layer::layer(
        &layer,
        tower::service_fn(|_: http::Request<()>| async {
            spawn(after(10)).await.expect("no panic");
            Ok::<_, std::convert::Infallible>(crate::support::full("ok"))
        }),
    );
    let Ok(response) = service.oneshot(request()).await;
    drop(response.into_body().collect().await);
    let report = log.report();
    assert_eq!((report.outcome, report.completed), (Outcome::Drained, 1));
    assert_eq!(report.held, ms(0));
    assert_eq!(report.last, None);
}

#[tokio::test(start_paused = true)]
async fn ages_begin_when_a_task_is_first_seen_waiting() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .on_drain(log.clone());
    let service = tracked(&layer, || {
        named("first").spawn(async {
            after(30).await;
            named("second").spawn(after(1000));
            after(1000).await;
        });
    });
    drop(service.oneshot(request()).await);
    let ages: Vec<_> = log
        .report()
        .stragglers
        .iter()
        .map(|task| task.age)
        .collect();
    assert_eq!(ages, [ms(100), ms(70)]);
}

#[tokio::test(start_paused = true)]
async fn a_long_list_of_tasks_is_compacted_without_losing_anybody() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .on_drain(log.clone());
    let service = tower::Layer::layer(
        &layer,
        tower::service_fn(|_: http::Request<()>| async {
            let tasks = Tasks::current().expect("in a request");
            let tokens: Vec<_> = (0..50).map(|_| tasks.named("kept").token()).collect();
            for _ in 0..1000 {
                spawn(async {});
                spawn(async { panic!("one of many") });
                tokio::task::yield_now().await;
            }
            for _ in 0..50 {
                named("waiting").spawn(std::future::pending::<()>());
            }
            tokio::spawn(async move {
                after(10).await;
                drop(tokens);
            });
            Ok::<_, std::convert::Infallible>(crate::support::full("ok"))
        }),
    );
    drop(service.oneshot(request()).await);
    let report = log.report();
    assert_eq!((report.spawned, report.completed), (2100, 1050));
    assert_eq!(report.panicked, 1000);
    assert_eq!(report.stragglers.len(), 50);
    assert!(
        report
            .stragglers
            .iter()
            .all(|task| task.name == Some("waiting"))
    );
    assert!(report.stragglers.iter().all(|task| task.age == ms(100)));
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_spoils_nothing() {
    struct Broken;
    impl OnDrain for Broken {
        fn on_drain(&self, _: &DrainReport) {
            panic!("in on_drain");
        }
        fn on_late_spawn(&self, _: &TaskInfo) {
            panic!("in on_late_spawn");
        }
        fn on_detached_end(&self, _: &TaskInfo) {
            panic!("in on_detached_end");
        }
    }
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .on_drain(Broken)
        .on_drain(log.clone());
    let service = tracked(&layer, || {
        spawn(async {
            after(20).await;
            spawn(async {});
        });
    });
    let response = service.oneshot(request()).await.expect("infallible");
    let body = response.into_body().collect().await.expect("a whole body");
    assert_eq!(body.to_bytes(), "done");
    layer.handle().wait_idle().await;
    assert_eq!(log.reports().len(), 1, "the next one is called");
    assert_eq!(log.late_spawns().len(), 1);
    assert_eq!(log.detached_ends().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_callback_may_use_the_request_it_is_told_of() {
    struct Looks(Arc<AtomicUsize>, Arc<Mutex<Option<Tasks>>>);
    impl Looks {
        fn look(&self) {
            // No lock is held while it runs: this would hang.
            let tasks = self.1.lock().expect("unpoisoned").clone();
            let tasks = tasks.expect("the handler has run");
            self.0.fetch_add(1 + tasks.len(), Ordering::SeqCst);
            tasks.set_drain_timeout(ms(1));
        }
    }
    impl OnDrain for Looks {
        fn on_drain(&self, _: &DrainReport) {
            self.look();
        }
        fn on_late_spawn(&self, _: &TaskInfo) {
            self.look();
        }
        fn on_detached_end(&self, _: &TaskInfo) {
            self.look();
        }
    }
    let seen = Arc::new(AtomicUsize::new(0));
    let tasks = Arc::new(Mutex::new(None));
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .on_drain(Looks(seen.clone(), tasks.clone()));
    let service = tracked(&layer, move || {
        *tasks.lock().expect("unpoisoned") = Tasks::current();
        spawn(async {
            after(20).await;
            spawn(async {});
        });
    });
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    // One report with a straggler, a late spawn beside it, and two ends, the second one alone.
    assert_eq!(seen.load(Ordering::SeqCst), 2 + 3 + 2 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_closure_and_the_unit_are_observers() {
    let told = Arc::new(AtomicUsize::new(0));
    let counter = told.clone();
    let layer = TaskTrackerLayer::new()
        .on_drain(())
        .on_drain(move |report: &DrainReport| {
            counter.fetch_add(report.spawned, Ordering::SeqCst);
        });
    let service = tracked(&layer, || {
        spawn(after(1));
        spawn(after(2));
    });
    let Ok(response) = service.oneshot(request()).await;
    drop(response.into_body().collect().await);
    assert_eq!(told.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_line_has_the_first_sixteen_tasks_and_places_in_the_place_of_names() {
    for (count, more) in [(16, ""), (17, " and 1 more"), (20, " and 4 more")] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new().on_drain(log.clone());
        let service = tracked(&layer, move || {
            for _ in 0..count {
                spawn(std::future::pending::<()>()).abort();
            }
        });
        drop(service.oneshot(request()).await);
        let line = log.report().to_string();
        assert_eq!(line.matches("tests/it/reports.rs:").count(), 16, "{line}");
        let end = format!(" (aborted, 0.0ns){more}");
        assert!(line.ends_with(&end), "{count} tasks: {line}");
    }
    let handle = TrackerHandle::new();
    let _token = handle.tasks().token();
    let line = handle.snapshot()[0].to_string();
    assert!(line.starts_with("tests/it/reports.rs:"), "{line}");
    assert!(line.ends_with(" (0.0ns)"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_report_is_one_line() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .on_drain(log.clone());
    let service = tracked(&layer, || {
        named("audit").spawn(after(10));
        named("mail").spawn(async { panic!("no\nserver") });
        named("index").spawn(after(500));
        named("thumbnail").spawn(after(500));
    });
    drop(service.oneshot(request()).await);
    assert_eq!(
        log.report().to_string(),
        "deadline exceeded (drain timeout): 1 of 4 tasks completed, held 100.0ms; \
         troubled: mail (panicked, 0.0ns: no\\nserver); \
         stragglers: index (running, 100.0ms), thumbnail (running, 100.0ms)"
    );
}
