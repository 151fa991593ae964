//! Which observers are called for a request, and how their callbacks affect it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_task_tracker::{DrainObserver, DrainReport, TaskInfo, TaskTrackerLayer, Tasks, spawn};

use crate::support::{Log, Slot, after, current, ms, put, request, tracked};

/// Spawns a task of 50 ms, and after 20 ms one of no task, which is late then.
fn straggle_and_come_late(tasks: Tasks) {
    tasks.spawn(after(50));
    tokio::spawn(async move {
        after(20).await;
        tasks.spawn(async {});
    });
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_spoils_nothing() {
    struct Broken;
    impl DrainObserver for Broken {
        fn on_drain(&self, _: &DrainReport) {
            panic!("in on_drain");
        }
        fn on_late_spawn(&self, _: &TaskInfo) {
            panic!("in on_late_spawn");
        }
        fn on_late_end(&self, _: &TaskInfo) {
            panic!("in on_late_end");
        }
    }
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .observer(Broken)
        .observer(log.clone());
    let service = tracked(&layer, || straggle_and_come_late(current()));
    let response = service.oneshot(request()).await.expect("infallible");
    let body = response.into_body().collect().await.expect("a whole body");
    assert_eq!(body.to_bytes(), "done");
    layer.handle().wait_idle().await;
    assert_eq!(log.reports().len(), 1, "the next one is called");
    assert_eq!(log.late_spawns().len(), 1);
    assert_eq!(log.late_ends().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_callback_may_use_the_request_it_is_told_of() {
    struct Looks(Arc<AtomicUsize>, Slot<Tasks>);
    impl Looks {
        fn look(&self) {
            // No lock is held while it runs: this would hang.
            let tasks = self.1.lock().expect("unpoisoned").clone();
            let tasks = tasks.expect("the handler has run");
            self.0.fetch_add(1 + tasks.len(), Ordering::SeqCst);
            tasks.set_drain_timeout(ms(1));
        }
    }
    impl DrainObserver for Looks {
        fn on_drain(&self, _: &DrainReport) {
            self.look();
        }
        fn on_late_spawn(&self, _: &TaskInfo) {
            self.look();
        }
        fn on_late_end(&self, _: &TaskInfo) {
            self.look();
        }
    }
    let seen = Arc::new(AtomicUsize::new(0));
    let tasks = Slot::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .observer(Looks(seen.clone(), tasks.clone()));
    let service = tracked(&layer, move || {
        put(&tasks, current());
        straggle_and_come_late(current());
    });
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    // One report with a straggler, a late spawn beside it, and two ends, the second one alone.
    assert_eq!(seen.load(Ordering::SeqCst), 2 + 3 + 2 + 1);
}

#[tokio::test(start_paused = true)]
async fn closures_and_observers_are_called_in_the_order_they_were_added_in() {
    struct Silent;
    impl DrainObserver for Silent {}
    struct Second(Arc<Mutex<Vec<&'static str>>>);
    impl DrainObserver for Second {
        fn on_drain(&self, _: &DrainReport) {
            self.0.lock().expect("no panic holds it").push("observer");
        }
    }
    let told = Arc::new(Mutex::new(Vec::new()));
    let push = |what: &'static str| {
        let told = told.clone();
        move || told.lock().expect("no panic holds it").push(what)
    };
    let (first, last) = (push("first"), push("last"));
    let layer = TaskTrackerLayer::new()
        .on_drain(move |_| first())
        .observer(Silent)
        .observer(Second(told.clone()))
        .on_drain(move |_| last());
    let service = tracked(&layer, || drop(spawn(after(1))));
    let Ok(response) = service.oneshot(request()).await;
    drop(response.into_body().collect().await);
    let told = told.lock().expect("no panic holds it");
    assert_eq!(*told, ["first", "observer", "last"]);
}

#[tokio::test(start_paused = true)]
async fn a_closure_is_called_with_the_report() {
    let told = Arc::new(AtomicUsize::new(0));
    let counter = told.clone();
    let layer = TaskTrackerLayer::new().on_drain(move |report| {
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
async fn what_a_callback_spawns_belongs_to_no_request() {
    #[derive(Clone, Default)]
    struct SendsMetrics(Arc<AtomicUsize>);
    impl SendsMetrics {
        fn send(&self) {
            let sent = self.0.fetch_add(1, Ordering::SeqCst);
            assert!(sent < 100, "each callback makes the next one");
            spawn(async {});
        }
    }
    impl DrainObserver for SendsMetrics {
        fn on_drain(&self, _: &DrainReport) {
            self.send();
        }
        fn on_late_spawn(&self, _: &TaskInfo) {
            self.send();
        }
        fn on_late_end(&self, _: &TaskInfo) {
            self.send();
        }
    }
    let metrics = SendsMetrics::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .observer(metrics.clone());
    let service = tracked(&layer, || straggle_and_come_late(current()));
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    assert_eq!(
        metrics.0.load(Ordering::SeqCst),
        4,
        "a report, a late spawn, two ends"
    );
}
