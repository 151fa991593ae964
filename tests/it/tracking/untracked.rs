//! A spawn outside of any request runs untracked and logs a warning, except inside of `untracked`.

use tower::Service;
use tower_task_tracker::{TaskTrackerLayer, Tasks, TrackerHandle, named, spawn, untracked};

use crate::subscribers::lines::Lines;
use crate::support::{request, tracked};

#[tokio::test]
async fn a_spawn_outside_of_a_request_is_a_warning_once_for_each_place() {
    let lines = Lines::default();
    let _recording = lines.record();
    for index in 0..3 {
        let value = spawn(async move { index }).await;
        assert_eq!(value.expect("it runs"), index);
    }
    let line = lines.with("spawned outside a request");
    assert!(line.starts_with("WARN") && line.contains(file!()), "{line}");
    drop(TrackerHandle::new().spawn(async {}).await);
    lines.with("spawned outside a request");
    let value = named("alone").spawn_blocking(|| 7).await;
    assert_eq!(value.expect("it runs"), 7);
    assert_eq!(lines.count("spawned outside a request"), 2, "another place");
}

#[tokio::test]
async fn a_spawn_that_is_untracked_on_purpose_is_no_warning() {
    let lines = Lines::default();
    let _guard = lines.record();
    let layer = TaskTrackerLayer::new().drain_timeout(None);
    let mut service = tracked(&layer, || {
        let mut outside = tokio_test::task::spawn(untracked(async {
            assert!(Tasks::current().is_none());
            spawn(std::future::pending::<()>());
        }));
        assert!(outside.poll().is_ready());
        assert!(Tasks::current().is_some(), "the context came back");
    });
    let mut future = tokio_test::task::spawn(service.call(request()));
    assert!(future.poll().is_ready(), "nothing is waited for");
    assert_eq!(lines.text(), "");
}
