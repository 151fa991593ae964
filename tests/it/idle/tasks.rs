//! A task that calls `wait_idle` does not wait for itself.

use std::sync::{Arc, Mutex};

use tower::ServiceExt;
use tower_task_tracker::{TaskTrackerLayer, named, spawn};

use crate::shutdown::{KINDS, WaitLog};
use crate::support::{Log, after, ms, request, tracked};

/// Whichever of them is polled first goes on at once.
#[tokio::test(start_paused = true)]
async fn waits_of_several_tasks_are_over_together_whatever_they_do_then() {
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    let ended = Arc::<Mutex<Vec<std::time::Duration>>>::default();
    let ends = ended.clone();
    let service = tracked(&layer, move || {
        for _ in 0..2 {
            let (handle, ends) = (handle.clone(), ends.clone());
            let begin = tokio::time::Instant::now();
            named("waits").spawn(async move {
                handle.wait_idle().await;
                spawn(after(1000));
                ends.lock()
                    .expect("no panic holds it")
                    .push(begin.elapsed());
            });
        }
        spawn(after(20));
    });
    drop(service.oneshot(request()).await);
    let ended = ended.lock().expect("no panic holds it");
    assert_eq!(*ended, [ms(20); 2]);
}

/// It has nothing to do after the end.
#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_idleness_is_aborted_at_the_end_of_a_shutdown() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .observer(log.clone());
    let handle = layer.handle();
    let service = tracked(&layer, move || {
        let handle = handle.clone();
        named("waits").spawn(async move { handle.wait_idle().await });
        named("slow").spawn(after(600_000));
    });
    drop(service.oneshot(request()).await);
    let report = layer.handle().shutdown(ms(100)).await;
    assert_eq!(report.aborted, 2, "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_awaits_idleness_waits_for_all_but_itself() {
    for (kind, run) in KINDS {
        let layer = TaskTrackerLayer::new();
        let (handle, got) = (layer.handle(), WaitLog::new());
        let (h, g) = (handle.clone(), got.clone());
        let service = tracked(&layer, move || {
            named("sibling").spawn(after(300));
            run(Box::pin(g.idle("idle", &h)), &h);
        });
        drop(service.oneshot(request()).await);
        handle.wait_idle().await;
        assert_eq!(got.times(), [("idle", ms(300))], "{kind}");
        assert_eq!(
            got.began.elapsed(),
            ms(300),
            "{kind}: and so is its response"
        );
    }
}
