//! No response waits for a task that is spawned with a method that `clippy.toml` forbids. The methods that it names
//! instead are tracked. Each forbidden line has an `#[expect]`, so that clippy reports a line that it does not forbid.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet, spawn_local};
use tower_task_tracker::{Scope, TrackerHandle, scope, untracked};

#[tokio::test]
async fn nothing_that_is_forbidden_is_tracked() {
    let local = LocalSet::new();
    let body = scope(async |_| {
        let handle = Handle::current();
        #[expect(clippy::disallowed_methods, reason = "for the count below")]
        tokio::spawn(async {});
        #[expect(clippy::disallowed_methods, reason = "the same by its other name")]
        tokio::task::spawn(async {});
        #[expect(clippy::disallowed_methods, reason = "for the count below")]
        tokio::task::spawn_blocking(|| {});
        #[expect(clippy::disallowed_methods, reason = "for the count below")]
        spawn_local(async {});
        #[expect(clippy::disallowed_methods, reason = "for the count below")]
        local.spawn_local(async {});
        #[expect(clippy::disallowed_methods, reason = "for the count below")]
        handle.spawn(async {});
        #[expect(clippy::disallowed_methods, reason = "for the count below")]
        handle.spawn_blocking(|| {});
    });
    let ((), report) = local.run_until(body).await;
    assert_eq!(report.spawned, 0, "{report}");
}

#[tokio::test]
async fn all_that_is_named_instead_is_tracked_and_not_forbidden() {
    let local = LocalSet::new();
    let body = scope(async |tasks| {
        let handle = Handle::current();
        tower_task_tracker::spawn(async {});
        tasks.spawn(async {});
        tower_task_tracker::spawn_blocking(|| {});
        tasks.spawn_local(async {});
        tasks.spawn_local_on(async {}, &local);
        tasks.spawn_on(async {}, &handle);
        tasks.spawn_blocking_on(|| {}, &handle);
    });
    let ((), report) = local.run_until(body).await;
    assert_eq!((report.spawned, report.completed), (7, 7), "{report}");
}

/// `clippy.toml` names two methods for connections that outlive their request. No response waits for them.
#[tokio::test]
async fn a_connection_is_not_waited_for_and_the_process_may_track_it() {
    let handle = TrackerHandle::new();
    let (open, mut closed) = mpsc::channel::<()>(2);
    let scope = Scope::new().drain_timeout(None);
    let body = scope.run(async |_| {
        let (tracked, past) = (open.clone(), open.clone());
        handle.spawn(async move { tracked.closed().await });
        untracked(async {
            drop(tower_task_tracker::spawn(
                async move { past.closed().await },
            ));
        })
        .await;
    });
    let ((), report) = body.await;
    assert_eq!(report.spawned, 0, "{report}");
    assert_eq!(
        handle.live_tasks(),
        1,
        "the other one is tracked by nothing"
    );
    assert_eq!(open.strong_count(), 3, "both are there");
    closed.close();
    let report = handle.shutdown(Duration::from_secs(10)).await;
    assert_eq!(
        report.completed, 1,
        "a shutdown has waited for it: {report}"
    );
}

/// A `JoinSet` is not forbidden, because a handler may await it.
#[tokio::test]
async fn what_a_task_of_a_join_set_spawns_is_tracked_in_the_scope_of_its_request_alone() {
    for (is_scoped, spawned) in [(false, 0), (true, 1)] {
        let body = scope(async |tasks| {
            let mut set = JoinSet::new();
            let task = async { drop(tower_task_tracker::spawn(async {})) };
            if is_scoped {
                set.spawn(tasks.within(task));
            } else {
                set.spawn(task);
            }
            set.join_all().await;
        });
        let ((), report) = body.await;
        assert_eq!(report.spawned, spawned, "scoped: {is_scoped}, {report}");
    }
}
