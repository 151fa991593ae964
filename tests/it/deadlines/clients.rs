//! A deadline that the client chose ends the hold, and never the work.

use http::request::Parts;
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::deadline::{self, Source};
use tower_task_tracker::{Hold, Limit, TaskState, TaskTrackerLayer, Unfinished, named, spawn};

use super::stopping::{GRPC, PLATFORM, POLICIES, base, impatient, serve};
use super::{arrival_plus, slow, unix_now};
use crate::support::{DropTime, Log, after, current, ms, request, slow_with, tracked, with_field};

#[tokio::test(start_paused = true)]
async fn at_the_clients_deadline_nothing_is_aborted_and_nothing_cancelled() {
    for policy in POLICIES {
        let layer = base(policy).deadline_source(deadline::grpc_timeout());
        let seen = serve(ms(0), layer, impatient()).await;
        seen.was_detached(GRPC, ms(100));
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_platforms_deadline_the_same_policy_stops_the_tasks() {
    for policy in POLICIES {
        let layer = base(policy).deadline_source(arrival_plus(100));
        let seen = serve(ms(0), layer, request()).await;
        seen.was_stopped(PLATFORM, ms(100));
    }
    let layer = base(Unfinished::Cancel { grace: ms(40) }).deadline_source(arrival_plus(100));
    let cancelled = serve(ms(0), layer, request()).await.cancelled;
    assert_eq!(cancelled, Some(ms(60)), "the deadline, less the grace");
}

#[tokio::test(start_paused = true)]
async fn every_source_that_is_the_clients_detaches() {
    let in_100_ms = |_: &Parts| Some(Instant::now() + ms(100));
    let own = || Source::new("own", in_100_ms).from_client();
    for policy in POLICIES {
        let seen = serve(ms(0), base(policy).deadline_source(own()), request()).await;
        seen.was_detached(Limit::Source("own"), ms(100));
        // With 1 s, less a margin: the task takes 300 ms.
        let wait = deadline::prefer_wait().margin(ms(900));
        let layer = base(policy).deadline_source(wait);
        let seen = serve(ms(0), layer, with_field("prefer", "wait=1")).await;
        seen.was_detached(Limit::Source("prefer-wait"), ms(100));
    }
}

#[tokio::test(start_paused = true)]
async fn every_source_that_is_the_platforms_stops_the_tasks() {
    // A minute away on the wall clock, less a margin: at most 100 ms are left.
    let margin = ms(59_900);
    let deadline = (unix_now() + ms(60_000)).as_millis() as u64;
    for policy in POLICIES {
        let lambda = base(policy).deadline_source(deadline::lambda_web_adapter().margin(margin));
        let request_with = |json| with_field("x-amzn-lambda-context", json);
        let request = request_with(format!("{{\"deadline\":{deadline}}}"));
        let seen = serve(ms(0), lambda, request).await;
        seen.was_stopped(Limit::Source("x-amzn-lambda-context"), ms(100));
        let unix = deadline::unix_millis(move |_: &Parts| Some(deadline)).margin(margin);
        let seen = serve(ms(0), base(policy).deadline_source(unix), impatient()).await;
        seen.was_stopped(Limit::Source("unix-millis"), ms(100));
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_run_on_at_the_deadline_of_a_type_that_is_from_the_client() {
    struct Header;

    impl deadline::DeadlineSource for Header {
        fn deadline(&self, _: &Parts) -> Option<Instant> {
            Some(Instant::now() + ms(100))
        }

        fn is_from_client(&self) -> bool {
            true
        }
    }

    let layer = base(Unfinished::Abort).deadline_source(Header);
    let seen = serve(ms(0), layer, request()).await;
    seen.was_detached(PLATFORM, ms(100));
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_deadline_has_passed_before_the_answer_detaches_too() {
    for policy in POLICIES {
        let layer = base(policy).deadline_source(deadline::grpc_timeout());
        let seen = serve(ms(150), layer, impatient()).await;
        seen.was_detached(GRPC, ms(150));
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_the_request_sets_does_not_apply_at_the_clients_deadline() {
    let log = Log::default();
    let layer = base(Unfinished::Continue)
        .deadline_source(deadline::grpc_timeout())
        .observer(log.clone());
    let service = slow(&layer, ms(0), || {
        let tasks = current();
        tasks.set_at_deadline(Unfinished::Abort);
        tasks.spawn(after(300));
    });
    drop(service.oneshot(impatient()).await);
    layer.handle().wait_idle().await;
    assert_eq!(log.report().aborted, 0);
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_held_end_and_a_wait_in_the_background_detach_too() {
    for hold in [Hold::End, Hold::Never] {
        let log = Log::default();
        let layer = base(Unfinished::Abort)
            .hold(hold)
            .deadline_source(deadline::grpc_timeout())
            .observer(log.clone());
        let service = slow(&layer, ms(0), || {
            spawn(after(300));
        });
        let start = Instant::now();
        let response = service.oneshot(impatient()).await.expect("infallible");
        let body = response.into_body().collect().await;
        assert_eq!(body.expect("no error").to_bytes(), "done");
        let took = if hold == Hold::End { ms(100) } else { ms(0) };
        assert_eq!(start.elapsed(), took, "{hold:?}");
        layer.handle().wait_idle().await;
        assert_eq!(start.elapsed(), ms(300), "{hold:?}");
        let report = log.report();
        assert_eq!((report.closed_by, report.aborted), (Some(GRPC), 0));
        assert_eq!(log.late_ends()[0].state, TaskState::Completed);
    }
}

/// "its unfinished tasks are always detached, whatever the policy".
#[tokio::test(start_paused = true)]
async fn at_the_deadline_of_a_client_nothing_is_aborted_also_after_an_abort() {
    let (log, cleanup) = (Log::default(), DropTime::new());
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10_000))
        .at_deadline(Unfinished::Abort)
        .deadline_source(deadline::grpc_timeout())
        .observer(log.clone());
    let watched = cleanup.clone();
    let service = tracked(&layer, move || {
        let watched = watched.clone();
        slow_with(move || {
            // What is to be rolled back takes longer: more time, and a task that does it.
            current().set_drain_timeout(ms(60_000));
            let watch = watched.watch();
            named("rollback").spawn(async move {
                let _watch = watch;
                after(40_000).await;
            });
        });
    });
    let arrived = Instant::now();
    drop(service.oneshot(with_field("grpc-timeout", "30S")).await);
    assert_eq!(arrived.elapsed(), ms(30_000), "the client ends the hold");
    assert_eq!(log.report().closed_by, Some(Limit::Source("grpc-timeout")));
    layer.handle().wait_idle().await;
    let ends: Vec<_> = log.late_ends().iter().map(|task| task.state).collect();
    assert_eq!(ends, [TaskState::Completed], "and not the work");
    assert_eq!(cleanup.get(), Some(ms(9900 + 40_000)));
}
