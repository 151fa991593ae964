//! A task that awaits the shutdown does not wait for itself.

use std::time::Duration;

use tokio::time::timeout;
use tower::ServiceExt;
use tower_task_tracker::{
    Outcome, ShutdownReport, TaskTrackerLayer, TrackerHandle, Unfinished, named, spawn,
};

use super::{KINDS, WaitLog};
use crate::support::{Slot, after, ms, observed, put, request, take, tracked};

#[tokio::test(start_paused = true)]
async fn a_task_that_awaits_the_shutdown_waits_for_all_but_itself() {
    for (kind, run) in KINDS {
        let (log, layer) = observed();
        let (handle, got) = (layer.handle(), WaitLog::new());
        let (h, g) = (handle.clone(), got.clone());
        let service = tracked(&layer, move || {
            named("sibling").spawn(after(300));
            run(Box::pin(g.stop("stop", &h)), &h);
        });
        let answer = service.oneshot(request()).await;
        drop(answer);
        handle.wait_idle().await;
        assert_eq!(got.times(), [("stop", ms(300))], "{kind}");
        let report = got.report("stop");
        assert!(report.is_clean(), "{kind}: {report}");
        assert_eq!(got.began.elapsed(), ms(300), "{kind}: its response too");
        assert_eq!(log.report().outcome, Outcome::Drained, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_awaits_a_task_that_awaits_the_shutdown_is_let_go_at_its_end() {
    let (log, layer) = observed();
    let (handle, got) = (layer.handle(), WaitLog::new());
    let (h, g) = (handle.clone(), got.clone());
    let service = tracked(&layer, move || {
        let wait = g.stop("stop", &h);
        named("outer").detached().spawn(async {
            drop(named("inner").spawn(wait).await);
        });
    });
    drop(service.oneshot(request()).await);
    handle.wait_idle().await;
    assert_eq!(
        got.times(),
        [("stop", ms(1000))],
        "a circle that no wait sees"
    );
    let report = got.report("stop");
    assert_eq!(
        (report.aborted, report.still_running.len()),
        (1, 0),
        "{report}"
    );
    assert_eq!(log.report().spawned, 0);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_awaits_the_shutdown_is_not_aborted_at_its_end_and_is_not_named() {
    for (kind, run) in KINDS {
        let layer = TaskTrackerLayer::new();
        let (handle, got) = (layer.handle(), WaitLog::new());
        let (h, g) = (handle.clone(), got.clone());
        // Nothing can end this one, and the others are slow.
        let stuck = handle.process_tasks().named("stuck").token();
        handle.spawn(after(600_000));
        let service = tracked(&layer, move || {
            named("sibling").spawn(after(600_000));
            run(Box::pin(g.stop("stop", &h)), &h);
        });
        let served = service.oneshot(request());
        let served = async { drop(served.await) };
        tokio::join!(got.stop("outside", &handle), served);
        // The other one has its report in the same instant.
        after(1).await;
        for name in ["outside", "stop"] {
            let report = got.report(name);
            let left: Vec<_> = report
                .still_running
                .iter()
                .map(|task| task.name.as_deref())
                .collect();
            assert_eq!(left, [Some("stuck")], "{kind}, {name}: {report}");
            assert_eq!(report.aborted, 2, "{kind}, {name}: {report}");
        }
        let latest = got.times().iter().map(|(_, at)| *at).max();
        assert_eq!(latest, Some(ms(1110)), "{kind}: the end and a moment");
        drop(stuck);
        handle.wait_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_window_of_its_response_has_a_policy_that_also_counts_for_a_task_that_awaits_the_shutdown()
 {
    for (detached, name) in [(false, None), (true, Some("stop"))] {
        let layer = TaskTrackerLayer::new().at_deadline(Unfinished::Abort);
        let (handle, got) = (layer.handle(), WaitLog::new());
        let (h, g) = (handle.clone(), got.clone());
        let service = tracked(&layer, move || {
            named("slow").spawn(after(600_000));
            let task = named("stop");
            let task = if detached { task.detached() } else { task };
            task.spawn(g.stop("stop", &h));
        });
        drop(service.oneshot(request()).await);
        handle.wait_idle().await;
        let times: Vec<_> = got.times().iter().map(|(name, _)| *name).collect();
        assert_eq!(times, Vec::from_iter(name));
    }
}

#[tokio::test(start_paused = true)]
async fn a_straggler_that_awaits_the_shutdown_is_spared_by_the_policy_of_its_layer() {
    for policy in [Unfinished::Abort, Unfinished::Cancel { grace: ms(400) }] {
        let layer = TaskTrackerLayer::new()
            .at_deadline(policy)
            .deadline_source(tower_task_tracker::deadline::grpc_timeout());
        let (handle, got) = (layer.handle(), WaitLog::new());
        let (h, g) = (handle.clone(), got.clone());
        let service = tracked(&layer, move || {
            named("slow").spawn(after(600_000));
            let wait = g.stop("stop", &h);
            named("straggler").spawn(async move {
                after(50).await;
                wait.await;
            });
        });
        drop(
            service
                .oneshot(crate::support::with_field("grpc-timeout", "1m"))
                .await,
        );
        handle.wait_idle().await;
        assert_eq!(
            got.times(),
            [("stop", ms(950))],
            "{policy:?}: the other is aborted"
        );
        let report = got.report("stop");
        assert_eq!(
            (report.aborted, report.still_running.len()),
            (1, 0),
            "{report}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_half_way_leaves_an_ordinary_task() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(10));
    let (handle, got) = (layer.handle(), WaitLog::new());
    let h = handle.clone();
    let service = tracked(&layer, move || {
        let h = h.clone();
        named("impatient").spawn(async move {
            assert!(timeout(ms(50), h.shutdown(ms(1000))).await.is_err());
            after(600_000).await;
        });
        named("slow").spawn(after(300));
    });
    drop(service.oneshot(request()).await);
    handle.spawn(got.stop("stop", &handle));
    handle.wait_idle().await;
    assert_eq!(got.times(), [("stop", ms(1000))], "it is waited for");
    let report = got.report("stop");
    assert_eq!((report.completed, report.aborted), (1, 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_tracked_elsewhere_waits_for_everything_here() {
    let (here, elsewhere) = (TaskTrackerLayer::new(), TaskTrackerLayer::new());
    let (handle, got) = (here.handle(), WaitLog::new());
    drop(
        tracked(&here, || drop(named("slow").detached().spawn(after(300))))
            .oneshot(request())
            .await,
    );
    let (h, g) = (handle.clone(), got.clone());
    let service = tracked(&elsewhere, move || {
        spawn(g.stop("stop", &h));
    });
    drop(service.oneshot(request()).await);
    assert_eq!(got.times(), [("stop", ms(300))]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_in_two_ways_is_one_task() {
    let layer = TaskTrackerLayer::new();
    let (handle, got) = (layer.handle(), WaitLog::new());
    let (h, g) = (handle.clone(), got.clone());
    let service = tracked(&layer, move || {
        let (stop, idle) = (g.stop("stop", &h), g.idle("idle", &h));
        spawn(async { tokio::join!(stop, idle) });
        spawn(after(300));
        named("other").detached().spawn(after(400));
    });
    drop(service.oneshot(request()).await);
    assert_eq!(got.times(), [("idle", ms(400)), ("stop", ms(400))]);
}

#[test]
fn a_blocking_closure_that_awaits_the_shutdown_waits_for_all_but_itself() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    let report = Slot::default();
    let out = report.clone();
    let service = tracked(&layer, move || {
        let (handle, out) = (handle.clone(), out.clone());
        spawn(after(20));
        let runtime = tokio::runtime::Handle::current();
        named("stop").spawn_blocking(move || {
            put(
                &out,
                runtime.block_on(handle.shutdown(Duration::from_secs(60))),
            );
        });
    });
    runtime.block_on(async { drop(service.oneshot(request()).await) });
    let report: ShutdownReport = take(&report);
    assert!(report.is_clean(), "{report}");
    assert!(report.waited < Duration::from_secs(60), "{report}");
}

/// It has its report, and waits for nothing else.
#[tokio::test(start_paused = true)]
async fn a_task_that_has_the_report_of_a_shutdown_is_not_aborted_by_another_one() {
    let handle = TrackerHandle::new();
    let layer = TaskTrackerLayer::new().tracked_by(&handle);
    let done = Slot::<()>::default();
    let is_done = done.clone();
    let at_shutdown = handle.clone();
    let service = tracked(&layer, move || {
        let (handle, done) = (at_shutdown.clone(), is_done.clone());
        named("admin").detached().spawn(async move {
            handle.shutdown(ms(10)).await;
            after(500).await;
            put(&done, ());
        });
    });
    drop(service.oneshot(request()).await);
    after(200).await;
    let report = handle.shutdown(ms(10)).await;
    assert_eq!(report.aborted, 0, "{report}");
    handle.wait_idle().await;
    take(&done);
}
