//! A callback runs outside of any request, and may use the one that it is called for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tower::{Service, ServiceExt};
use tower_task_tracker::{DrainObserver, DrainReport, TaskInfo, TaskTrackerLayer, Tasks, spawn};

use super::calls::straggle_and_come_late;
use crate::support::{Log, Slot, after, current, ms, put, request, take, tracked};

#[tokio::test(start_paused = true)]
async fn a_callback_may_use_the_request_that_it_is_called_for() {
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

/// Whatever is current where the callback is called.
#[tokio::test(start_paused = true)]
async fn a_callback_is_called_outside_of_the_request_that_is_current_there() {
    struct Spawns(Arc<Mutex<Vec<bool>>>);
    impl Spawns {
        fn look(&self) {
            let is_outside = Tasks::current().is_none();
            self.0.lock().expect("no panic holds it").push(is_outside);
            spawn(after(1000));
        }
    }
    impl DrainObserver for Spawns {
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
    let outside = Arc::<Mutex<Vec<bool>>>::default();
    let first = TaskTrackerLayer::new().observer(Spawns(outside.clone()));
    let kept = Slot::<Tasks>::default();
    let keep = kept.clone();
    let mut service = tracked(&first, move || {
        put(&keep, current());
        spawn(after(20));
    });
    let mut held = Box::pin(service.call(request()));
    assert!(futures_util::poll!(&mut held).is_pending());
    let held = Arc::new(Mutex::new(Some(held)));
    let tasks = take(&kept);
    let log = Log::default();
    let second = TaskTrackerLayer::new().observer(log.clone());
    let service = tracked(&second, move || {
        // The first request is left, and used, by the handler of the second one.
        drop(take(&held));
        drop(tasks.token());
    });
    let begin = tokio::time::Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(begin.elapsed(), ms(0), "nothing is spawned in it");
    assert!(log.reports().is_empty());
    let outside = outside.lock().expect("no panic holds it");
    assert_eq!(*outside, [true; 3]);
}
