//! `Tasks::set_drain_timeout`: a request that moves its own deadline.

use std::future::pending;
use std::time::Duration;

use tokio::time::Instant;
use tower::{Service, ServiceExt};
use tower_task_tracker::{Limit, TaskTrackerLayer, spawn};

use super::{NOW, OWN, arrival_plus, slow};
use crate::support::{Log, Slot, after, current, ms, put, request, take};

/// Serves a request that is answered after 10 ms, and sets `timeout` 20 ms later. Returns how long that took from its
/// arrival, and what closed the window. The setter is called outside of its tasks, so that nothing else can wake the
/// wait.
async fn moved(
    layer: &TaskTrackerLayer,
    timeout: impl Into<Option<Duration>>,
) -> (Duration, Option<Limit>) {
    let log = Log::default();
    let timeout = timeout.into();
    let service = slow(&layer.clone().observer(log.clone()), ms(10), move || {
        let tasks = current();
        tokio::spawn(async move {
            after(20).await;
            tasks.set_drain_timeout(timeout);
        });
        spawn(pending::<()>());
    });
    let start = Instant::now();
    let served = tokio::time::timeout(OWN, service.oneshot(request())).await;
    drop(served.expect("the wait was not woken"));
    (start.elapsed(), log.report().closed_by)
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_goes_on_is_made_longer_or_shorter_from_its_opening() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(50));
    let by = Some(Limit::DrainTimeout);
    assert_eq!(moved(&layer, ms(500)).await, (ms(510), by), "longer");
    assert_eq!(moved(&layer, ms(40)).await, (ms(50), by), "shorter");
    assert_eq!(moved(&layer, ms(20)).await, (ms(30), by), "to this moment");
    assert_eq!(moved(&layer, ms(15)).await, (ms(30), by), "to the past");
    assert_eq!(moved(&layer, NOW).await, (ms(30), by), "zero ends it");
}

#[tokio::test(start_paused = true)]
async fn tasks_see_the_deadline_that_they_have_moved() {
    let seen = Slot::default();
    let sees = seen.clone();
    let layer = TaskTrackerLayer::new().drain_timeout(ms(50));
    let service = slow(&layer, ms(10), move || {
        let (tasks, sees) = (current(), sees.clone());
        spawn(async move {
            after(40).await;
            let before = tasks.deadline();
            tasks.set_drain_timeout(ms(200));
            put(&sees, (before, tasks.deadline()));
            pending::<()>().await;
        });
    });
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    let opened = start + ms(10);
    let known = (Some(opened + ms(50)), Some(opened + ms(200)));
    assert_eq!(take(&seen), known);
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_a_limit_can_be_given_one() {
    let layer = TaskTrackerLayer::new().drain_timeout(None);
    let by = Some(Limit::DrainTimeout);
    assert_eq!(moved(&layer, ms(60)).await, (ms(70), by));
    assert_eq!(moved(&layer, ms(5)).await, (ms(30), by), "it is past");
}

#[tokio::test(start_paused = true)]
async fn the_other_limits_stay_where_they_are() {
    let base = TaskTrackerLayer::new().drain_timeout(ms(50));
    let total = base.clone().total_timeout(ms(80));
    let source = base.deadline_source(arrival_plus(90));
    let by_source = Some(Limit::Source("deadline source"));
    for timeout in [None, Some(ms(1000)), Some(Duration::MAX)] {
        let by_total = (ms(80), Some(Limit::TotalTimeout));
        assert_eq!(moved(&total, timeout).await, by_total, "{timeout:?}");
        let moved = moved(&source, timeout).await;
        assert_eq!(moved, (ms(90), by_source), "{timeout:?}");
    }
    let by_drain = (ms(70), Some(Limit::DrainTimeout));
    assert_eq!(moved(&total, ms(60)).await, by_drain);
}

#[tokio::test(start_paused = true)]
async fn a_limit_can_be_taken_away_while_the_response_waits() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(50));
    let service = slow(&layer, NOW, || {
        let tasks = current();
        spawn(async move {
            after(30).await;
            tasks.set_drain_timeout(None);
            assert_eq!(tasks.deadline(), None);
            after(4_000_000).await;
        });
    });
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(4_000_030));
}

#[tokio::test(start_paused = true)]
async fn a_drain_timeout_that_is_set_before_the_answer_counts_from_the_answer_too() {
    for timeout in [Some(ms(70)), Some(NOW), None] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .total_timeout(ms(200))
            .observer(log.clone());
        let service = slow(&layer, ms(10), move || {
            let tasks = current();
            tasks.set_drain_timeout(timeout);
            spawn(pending::<()>());
        });
        let start = Instant::now();
        drop(service.oneshot(request()).await);
        let expected = timeout.map_or(ms(200), |timeout| ms(10) + timeout);
        assert_eq!(start.elapsed(), expected, "{timeout:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_has_ended_at_its_deadline_stays_ended() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(50));
    let log = Log::default();
    let kept = Slot::default();
    let keep = kept.clone();
    let mut service = slow(&layer.observer(log.clone()), NOW, move || {
        put(&keep, current());
        spawn(after(300));
    });
    let start = Instant::now();
    let response = service.call(request()).await;
    assert_eq!(start.elapsed(), ms(50));
    take(&kept).set_drain_timeout(ms(5000));
    drop(http_body_util::BodyExt::collect(response.expect("infallible").into_body()).await);
    assert_eq!(start.elapsed(), ms(50), "the end is not held either");
    assert_eq!(log.report().held, ms(50));
}
