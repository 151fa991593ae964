//! What a straggler spawns: a task that its response was released without.

use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{Outcome, TaskTrackerLayer, Unfinished, named};

use super::children::{EVERY_WAY, spawn_in_every_way};
use super::ends;
use crate::subscribers::lines::Lines;
use crate::support::{
    LastWords, Log, Slot, after, current, ms, observed, put, request, take, tracked,
};

#[tokio::test(start_paused = true)]
async fn however_a_straggler_spawns_no_warning_is_logged() {
    for unfinished in [Unfinished::Continue, Unfinished::Cancel { grace: ms(1) }] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .drain_timeout(ms(50))
            .at_deadline(unfinished)
            .observer(log.clone());
        let lines = Lines::default();
        let _recording = lines.record();
        let local = tokio::task::LocalSet::new();
        let service = tracked(&layer, || {
            let tasks = current();
            // No abort reaches it.
            let straggler = tasks.clone().named("straggler").track_future(async move {
                after(100).await;
                spawn_in_every_way(&tasks);
                after(100).await;
            });
            tokio::task::spawn_local(straggler);
        });
        let served = async {
            drop(service.oneshot(request()).await);
            assert_eq!(log.report().outcome, Outcome::DeadlineExceeded);
            layer.handle().wait_idle().await;
        };
        local.run_until(served).await;
        let observed = ends(&log);
        let children: Vec<_> = observed
            .iter()
            .filter(|name| **name != "straggler")
            .collect();
        assert_eq!(children, EVERY_WAY.iter().collect::<Vec<_>>());
        assert!(log.late_spawns().is_empty(), "{:?}", log.late_spawns());
        assert_eq!(lines.count("after its request was released"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_destructor_of_a_straggler_or_a_detached_task_spawns_is_detached() {
    let (log, layer) = observed();
    let aborted = Slot::default();
    let out = aborted.clone();
    let service = tracked(&layer.drain_timeout(ms(10)), move || {
        let last_words = || LastWords::new(|| drop(named("last words").spawn(after(50))));
        let (early, late) = (last_words(), last_words());
        let detached = named("detached").detached().spawn(async move {
            let _early = early;
            after(5).await;
        });
        drop(detached);
        let straggler = named("straggler").spawn(async move {
            let _late = late;
            after(600_000).await;
        });
        put(&out, straggler);
    });
    let arrived = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(arrived.elapsed(), ms(10));
    assert_eq!(log.report().spawned, 1);
    take(&aborted).abort();
    after(1000).await;
    let all = ["detached", "last words", "last words", "straggler"];
    assert_eq!(ends(&log), all);
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_children_of_a_task_whose_client_has_left_are_not_late() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        named("left").spawn(async {
            after(100).await;
            named("child").spawn(after(10));
        });
    });
    drop(tokio::time::timeout(ms(10), service.oneshot(request())).await);
    assert_eq!(log.report().outcome, Outcome::Dropped);
    layer.handle().wait_idle().await;
    assert_eq!(ends(&log), ["child", "left"]);
    assert!(log.late_spawns().is_empty());
}
