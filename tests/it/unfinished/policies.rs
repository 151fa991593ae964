//! What becomes of tasks that are alive when the window closes.

use std::convert::Infallible;
use std::sync::mpsc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    Hold, Limit, Outcome, TaskInfo, TaskState, TaskTrackerLayer, Unfinished, named, spawn_blocking,
};

use crate::support::{DropTime, Frames, LastWords, Log, after, current, held, ms, request};

fn layer(log: &Log, timeout: u64, unfinished: Unfinished) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .drain_timeout(ms(timeout))
        .at_deadline(unfinished)
        .observer(log.clone())
}

fn cancel(grace: u64) -> Unfinished {
    Unfinished::Cancel { grace: ms(grace) }
}

#[tokio::test(start_paused = true)]
async fn detached_at_the_deadline_a_task_runs_on_and_its_end_is_told() {
    let log = Log::default();
    let layer = layer(&log, 100, Unfinished::Continue);
    let token = DropTime::new();
    let held = held(&layer, {
        let token = token.clone();
        move || {
            let (watch, cancelled) = (token.watch(), current().cancellation_token());
            named("slow").spawn(async move {
                let _watch = watch;
                after(300).await;
                assert!(!cancelled.is_cancelled(), "nobody is told to stop");
            });
        }
    })
    .await;
    assert_eq!(held, ms(100));
    assert_eq!(log.report().stragglers.len(), 1);
    assert_eq!(layer.handle().live_tasks(), 1, "it stays with the handle");
    layer.handle().wait_idle().await;
    assert_eq!(token.get(), Some(ms(300)));
    let ends = log.late_ends();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn aborted_just_before_the_deadline_a_task_has_time_for_its_destructors() {
    // Of a window, the last 100 ms, or the last tenth if that is shorter.
    for (window, aborted_at) in [(25_000, 24_900), (1000, 900), (100, 90)] {
        let log = Log::default();
        let dropped = DropTime::new();
        let held = held(&layer(&log, window, Unfinished::Abort), {
            let dropped = dropped.clone();
            move || {
                let (watch, cancelled) = (dropped.watch(), current().cancellation_token());
                named("slow").spawn(async move {
                    let _watch = watch;
                    after(60_000).await;
                });
                named("watching").spawn(async move { cancelled.cancelled().await });
            }
        })
        .await;
        assert_eq!(dropped.get(), Some(ms(aborted_at)), "{window} ms");
        assert!(held <= ms(window), "never past the deadline: {held:?}");
        let report = log.report();
        let closed = (report.outcome, report.closed_by);
        let late = (Outcome::DeadlineExceeded, Some(Limit::DrainTimeout));
        assert_eq!(closed, late, "{window} ms: {report}");
        assert!(report.stragglers.is_empty(), "none is alive: {report}");
        let aborted = |task: &TaskInfo| task.state == TaskState::Aborted;
        assert!(report.failures.iter().all(aborted), "{report}");
        // The token is told too late.
        assert_eq!((report.spawned, report.aborted), (2, 2), "{window} ms");
        let ends = log.late_ends();
        assert!(ends.is_empty(), "all is in the report: {window} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn once_what_was_aborted_is_gone_the_response_waits_no_longer() {
    let log = Log::default();
    let held = held(&layer(&log, 1000, Unfinished::Abort), || {
        named("slow").spawn(after(60_000));
    })
    .await;
    assert_eq!(held, ms(900), "nothing is held for nothing");
    assert_eq!(log.report().aborted, 1);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_done_before_the_abort_is_not_touched() {
    let log = Log::default();
    let held = held(&layer(&log, 1000, Unfinished::Abort), || {
        named("quick").spawn(after(899));
    })
    .await;
    assert_eq!(held, ms(899));
    assert!(log.report().is_clean());
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn cancelled_a_grace_before_the_deadline_a_task_may_end_by_itself() {
    let log = Log::default();
    let held = held(&layer(&log, 1000, cancel(400)), || {
        let cancelled = current().cancellation_token();
        named("polite").spawn(async move {
            cancelled.cancelled().await;
            after(50).await;
        });
    })
    .await;
    assert_eq!(held, ms(650), "600 ms, and 50 ms to tidy up");
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Drained);
    assert!(report.is_clean(), "it has ended by itself: {report}");
    assert!(report.cancelled, "but it was asked to");
    assert!(report.to_string().contains("asked to stop"));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_cancelled_request_is_aborted() {
    let log = Log::default();
    let dropped = DropTime::new();
    let held = held(&layer(&log, 1000, cancel(400)), {
        let dropped = dropped.clone();
        move || {
            let watch = dropped.watch();
            named("deaf").spawn(async move {
                let _watch = watch;
                after(60_000).await;
            });
        }
    })
    .await;
    assert_eq!(dropped.get(), Some(ms(900)));
    assert_eq!(held, ms(900));
    assert_eq!(log.report().outcome, Outcome::DeadlineExceeded);
    assert_eq!(log.report().aborted, 1);
}

#[tokio::test(start_paused = true)]
async fn half_of_a_short_grace_is_for_who_stops_by_himself() {
    let log = Log::default();
    let (polite, deaf) = (DropTime::new(), DropTime::new());
    let held = held(&layer(&log, 1000, cancel(50)), {
        let (polite, deaf) = (polite.clone(), deaf.clone());
        move || {
            let (polite, deaf) = (polite.watch(), deaf.watch());
            let cancelled = current().cancellation_token();
            named("polite").spawn(async move {
                let _polite = polite;
                cancelled.cancelled().await;
                after(20).await;
            });
            named("deaf").spawn(async move {
                let _deaf = deaf;
                after(60_000).await;
            });
        }
    })
    .await;
    assert_eq!((polite.get(), deaf.get()), (Some(ms(970)), Some(ms(975))));
    assert_eq!(held, ms(975));
    assert_eq!((log.report().completed, log.report().aborted), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_grace_longer_than_the_window_begins_with_the_window() {
    for grace in [ms(1000), ms(5000), Duration::MAX] {
        let log = Log::default();
        let held = held(&layer(&log, 1000, Unfinished::Cancel { grace }), || {
            let cancelled = current().cancellation_token();
            named("polite").spawn(async move { cancelled.cancelled().await });
        })
        .await;
        assert_eq!(held, ms(0), "{grace:?}");
        assert!(log.report().is_clean(), "{grace:?}: {}", log.report());
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_the_token_is_cancelled_when_tasks_are_aborted() {
    let log = Log::default();
    let held = held(&layer(&log, 1000, cancel(0)), || {
        let cancelled = current().cancellation_token();
        let token = current().token();
        // Not tokio's to abort.
        std::mem::drop(tokio::spawn(async move {
            cancelled.cancelled().await;
            drop(token);
        }));
    })
    .await;
    assert_eq!(held, ms(900));
}

#[tokio::test(start_paused = true)]
async fn with_no_time_at_all_tasks_get_one_turn_and_are_aborted() {
    for unfinished in [Unfinished::Abort, cancel(0), cancel(500)] {
        let log = Log::default();
        let held = held(&layer(&log, 0, unfinished), || {
            named("quick").spawn(async {});
            named("slow").spawn(after(60_000));
        })
        .await;
        assert_eq!(held, ms(0), "{unfinished:?}");
        let report = log.report();
        assert_eq!(
            (report.completed, report.aborted),
            (1, 1),
            "{unfinished:?}: {report}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_destructor_spawns_has_until_the_deadline() {
    let log = Log::default();
    let (written, cut) = (DropTime::new(), DropTime::new());
    let layer = layer(&log, 1000, Unfinished::Abort);
    let held = held(&layer, {
        let (written, cut) = (written.clone(), cut.clone());
        move || {
            let (written, cut) = (written.watch(), cut.watch());
            named("slow").spawn(async move {
                let _last_words = LastWords::new(move || {
                    let (written, cut) = (written, cut);
                    named("quick words").spawn(async move {
                        let _written = written;
                        after(50).await;
                    });
                    named("long words").spawn(async move {
                        let _cut = cut;
                        after(60_000).await;
                    });
                });
                after(60_000).await;
            });
        }
    })
    .await;
    assert_eq!(held, ms(1000));
    assert_eq!(written.get(), Some(ms(950)), "it had 100 ms, and took 50");
    let report = log.report();
    assert_eq!(report.spawned, 3, "{report}");
    assert_eq!(report.stragglers.len(), 1, "{report}");
    layer.handle().wait_idle().await;
    assert_eq!(cut.get(), Some(ms(1000)), "it is aborted at the deadline");
    let ends = log.late_ends();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].state, TaskState::Aborted);
}

#[tokio::test(start_paused = true)]
async fn work_elsewhere_cannot_be_aborted_and_is_reported() {
    let log = Log::default();
    let layer = layer(&log, 1000, Unfinished::Abort);
    let (give, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let held = held(&layer, move || {
        let _ = give.send(current().named("thread").token());
        current().tracker().spawn(after(2000));
    })
    .await;
    assert_eq!(held, ms(1000));
    let report = log.report();
    assert_eq!((report.aborted, report.stragglers.len()), (0, 2));
    assert_eq!(layer.handle().live_tasks(), 2);
    drop(taken.recv().await);
    layer.handle().wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_blocking_closure_that_runs_is_reported_and_stays_with_the_handle() {
    let log = Log::default();
    let layer = layer(&log, 20, Unfinished::Abort);
    let (let_go, until) = mpsc::channel::<()>();
    let until = std::sync::Arc::new(std::sync::Mutex::new(until));
    let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let held = held(&layer, move || {
        let (until, began) = (until.clone(), began.clone());
        spawn_blocking(move || {
            let _ = began.send(());
            let _ = until.lock().expect("no panic holds this lock").recv();
        });
    });
    let (held, ()) = tokio::join!(held, async {
        begun.recv().await;
        // Paused time does not pass by itself while a blocking closure runs.
        tokio::time::advance(ms(20)).await;
    });
    assert_eq!(held, ms(20));
    let report = log.report();
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
    assert_eq!((report.aborted, report.stragglers.len()), (0, 1));
    assert_eq!(layer.handle().live_tasks(), 1);
    drop(let_go);
    layer.handle().wait_idle().await;
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_request_may_choose_for_itself_also_while_it_waits() {
    let log = Log::default();
    let layer = layer(&log, 1000, Unfinished::Continue);
    let first = held(&layer, || {
        current().set_at_deadline(Unfinished::Abort);
        named("slow").spawn(after(60_000));
    })
    .await;
    assert_eq!(first, ms(900));
    let second = held(&layer, || {
        let tasks = current();
        named("slow").spawn(after(60_000));
        named("changes its mind").spawn(async move {
            after(500).await;
            tasks.set_at_deadline(cancel(300));
        });
    })
    .await;
    assert_eq!(second, ms(900));
    let aborted: Vec<_> = log.reports().iter().map(|report| report.aborted).collect();
    assert_eq!(aborted, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_a_child_and_knows_of_a_cancellation_before_it_was_made() {
    let log = Log::default();
    held(&layer(&log, 1000, cancel(500)), || {
        let tasks = current();
        let (mine, other) = (tasks.cancellation_token(), tasks.cancellation_token());
        mine.cancel();
        assert!(!other.is_cancelled(), "a child cancels nobody else");
        named("late to ask").spawn(async move {
            after(600).await;
            assert!(other.is_cancelled());
            assert!(tasks.cancellation_token().is_cancelled());
        });
    })
    .await;
    assert!(log.report().is_clean(), "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn the_first_token_too_knows_of_a_cancellation_before_it_was_made() {
    let log = Log::default();
    held(&layer(&log, 1000, cancel(500)), || {
        let tasks = current();
        named("late to ask").spawn(async move {
            after(600).await;
            assert!(tasks.cancellation_token().is_cancelled());
        });
    })
    .await;
    assert!(log.report().is_clean(), "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_aborted_may_still_end_in_time() {
    let log = Log::default();
    let held = held(&layer(&log, 1000, Unfinished::Abort), || {
        let token = current().named("thread").token();
        tokio::spawn(async move {
            after(950).await;
            drop(token);
        });
    })
    .await;
    assert_eq!(held, ms(950));
    let report = log.report();
    assert_eq!((report.outcome, report.closed_by), (Outcome::Drained, None));
}

#[tokio::test(start_paused = true)]
async fn who_released_the_head_did_not_release_an_end_that_is_late() {
    let log = Log::default();
    let layer = layer(&log, 100, Unfinished::Continue).hold(Hold::Head);
    let service = layer.layer(service_fn(|_: Request<()>| async {
        named("head").spawn(after(20));
        let late = Frames::new(["a"]).spawns_at_drop(500);
        Ok::<_, Infallible>(Response::new(late))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    drop(answer.into_body().collect().await);
    let report = log.report();
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
    assert_eq!(report.last, None, "{report}");
}
