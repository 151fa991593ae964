//! Which callbacks are called for a request, and in which order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_task_tracker::{
    DrainObserver, DrainReport, TaskInfo, TaskTrackerLayer, Tasks, named, spawn,
};

use crate::subscribers::lines::Lines;
use crate::support::{Log, after, current, ms, request, tracked};

/// Spawns a task of 50 ms, and after 20 ms one of no task, which is late then.
pub(crate) fn straggle_and_come_late(tasks: Tasks) {
    tasks.spawn(after(50));
    tokio::spawn(async move {
        after(20).await;
        tasks.spawn(async {});
    });
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_does_not_keep_the_next_one_from_its_call() {
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
async fn closures_and_observers_are_called_in_the_order_they_were_added_in() {
    struct Silent;
    impl DrainObserver for Silent {}
    struct Second(Arc<Mutex<Vec<&'static str>>>);
    impl DrainObserver for Second {
        fn on_drain(&self, _: &DrainReport) {
            self.0.lock().expect("no panic holds it").push("observer");
        }
    }
    let observed = Arc::new(Mutex::new(Vec::new()));
    let push = |what: &'static str| {
        let observed = observed.clone();
        move || observed.lock().expect("no panic holds it").push(what)
    };
    let (first, last) = (push("first"), push("last"));
    let layer = TaskTrackerLayer::new()
        .on_drain(move |_| first())
        .observer(Silent)
        .observer(Second(observed.clone()))
        .on_drain(move |_| last());
    let service = tracked(&layer, || drop(spawn(after(1))));
    let Ok(response) = service.oneshot(request()).await;
    drop(response.into_body().collect().await);
    let observed = observed.lock().expect("no panic holds it");
    assert_eq!(*observed, ["first", "observer", "last"]);
}

#[tokio::test(start_paused = true)]
async fn a_closure_is_called_with_the_report() {
    let observed = Arc::new(AtomicUsize::new(0));
    let counter = observed.clone();
    let layer = TaskTrackerLayer::new().on_drain(move |report| {
        counter.fetch_add(report.spawned, Ordering::SeqCst);
    });
    let service = tracked(&layer, || {
        spawn(after(1));
        spawn(after(2));
    });
    let Ok(response) = service.oneshot(request()).await;
    drop(response.into_body().collect().await);
    assert_eq!(observed.load(Ordering::SeqCst), 2);
}

/// What was in the log when each callback was called.
struct Reads {
    lines: Lines,
    read: Arc<Mutex<Vec<(&'static str, bool)>>>,
}

impl Reads {
    fn read(&self, callback: &'static str, event: &str) {
        let is_logged = self.lines.count(event) > 0;
        self.read
            .lock()
            .expect("no panic holds it")
            .push((callback, is_logged));
    }
}

impl DrainObserver for Reads {
    fn on_drain(&self, _: &DrainReport) {
        self.read("drain", "the drain window closed");
    }
    fn on_late_spawn(&self, _: &TaskInfo) {
        self.read("late spawn", "was spawned after its request");
    }
    fn on_late_end(&self, _: &TaskInfo) {
        self.read("late end", "a tracked task failed");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_observer_is_called_for_is_logged_already() {
    let lines = Lines::default();
    let _recording = lines.record();
    let read = Arc::<Mutex<Vec<_>>>::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .observer(Reads {
            lines: lines.clone(),
            read: read.clone(),
        });
    let service = tracked(&layer, || {
        let tasks = current();
        named("slow").fallible().spawn(async {
            after(30).await;
            Err::<(), _>("planned")
        });
        tokio::spawn(async move {
            after(20).await;
            drop(tasks.token());
        });
    });
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    let read = read.lock().expect("no panic holds it");
    // The token has completed: that is not logged.
    let expected = [
        ("drain", true),
        ("late spawn", true),
        ("late end", false),
        ("late end", true),
    ];
    assert_eq!(*read, expected);
}
