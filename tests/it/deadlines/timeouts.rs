//! The layer's own limits: `drain_timeout` and `total_timeout`.

use std::future::pending;
use std::time::Duration;

use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{Limit, Outcome, TaskTrackerLayer, Tasks, spawn};

use super::{NOW, hold};
use crate::support::deadlines::{OWN, hold_after};
use crate::support::{Log, after, current, ms, request, slow, tracked};

fn layer() -> TaskTrackerLayer {
    TaskTrackerLayer::new().drain_timeout(OWN)
}

#[tokio::test(start_paused = true)]
async fn the_total_timeout_counts_from_the_arrival() {
    for handling in [0, 1, 30, 49] {
        let layer = layer().total_timeout(ms(50));
        let held = hold_after(ms(handling), &layer, request()).await;
        assert_eq!(held.known, Some(ms(50)), "{handling} ms");
        held.is_closed_by(Limit::TotalTimeout, ms(50), handling);
        assert_eq!(held.report.held, ms(50 - handling), "{handling} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn the_drain_timeout_counts_from_the_answer() {
    for handling in [0, 1, 30, 200] {
        let layer = TaskTrackerLayer::new().drain_timeout(ms(50));
        let held = hold_after(ms(handling), &layer, request()).await;
        assert_eq!(held.known, None, "no window is open yet: {handling} ms");
        held.is_closed_by(Limit::DrainTimeout, ms(handling + 50), handling);
        assert_eq!(held.report.held, ms(50), "{handling} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn the_total_timeout_interrupts_no_handler_and_ready_tasks_get_one_turn() {
    for total in [ms(0), ms(1), ms(50), ms(200)] {
        let log = Log::default();
        let layer = layer().total_timeout(total).observer(log.clone());
        let service = slow(&layer, ms(200), || {
            spawn(async {});
            spawn(after(1));
        });
        let start = Instant::now();
        let response = service.oneshot(request()).await.expect("infallible");
        assert_eq!(response.status(), http::StatusCode::OK, "{total:?}");
        drop(response);
        assert_eq!(start.elapsed(), ms(200), "{total:?}");
        let report = log.report();
        assert_eq!(report.closed_by, Some(Limit::TotalTimeout), "{total:?}");
        assert_eq!(report.held, NOW, "{total:?}");
        assert_eq!(report.completed, 1, "{total:?}: one turn was enough");
        assert_eq!(report.stragglers.len(), 1, "{total:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_turn_is_enough_for_is_drained_and_not_late() {
    let zero = layer().drain_timeout(NOW).total_timeout(NOW);
    for layer in [zero, layer().total_timeout(ms(10))] {
        let log = Log::default();
        let service = slow(&layer.clone().observer(log.clone()), ms(20), || {
            spawn(async {});
        });
        drop(service.oneshot(request()).await);
        let report = log.report();
        assert_eq!(report.outcome, Outcome::Drained, "{layer:?}");
        assert_eq!((report.closed_by, report.completed), (None, 1), "{layer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn zero_closes_the_window_as_it_opens() {
    let held = hold(&layer().total_timeout(NOW), request()).await;
    assert_eq!(held.known, Some(NOW));
    held.is_closed_by(Limit::TotalTimeout, NOW, "the total timeout");
    let held = hold_after(ms(5), &layer().drain_timeout(NOW), request()).await;
    held.is_closed_by(Limit::DrainTimeout, ms(5), "the drain timeout");
}

#[tokio::test(start_paused = true)]
async fn none_and_what_is_too_long_for_the_clock_are_no_limits() {
    let held = hold(&layer().total_timeout(None), request()).await;
    held.is_left_to_the_layer("no total timeout");
    let held = hold(&layer().total_timeout(Duration::MAX), request()).await;
    held.is_left_to_the_layer("a total timeout of centuries");
    let total = TaskTrackerLayer::new().total_timeout(ms(60));
    for drain in [
        None,
        Some(Duration::MAX),
        Some(Duration::from_secs(1 << 40)),
    ] {
        let held = hold(&total.clone().drain_timeout(drain), request()).await;
        held.is_closed_by(Limit::TotalTimeout, ms(60), drain);
    }
    for timeout in [
        None,
        Some(Duration::MAX),
        Some(Duration::from_secs(1 << 62)),
    ] {
        let layer = TaskTrackerLayer::new()
            .drain_timeout(timeout)
            .total_timeout(timeout);
        let service = tracked(&layer, || {
            spawn(after(100_000));
        });
        let start = Instant::now();
        drop(service.oneshot(request()).await);
        assert_eq!(start.elapsed(), ms(100_000), "{timeout:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_calls_the_last_counts() {
    let layer = layer()
        .drain_timeout(ms(10))
        .drain_timeout(ms(70))
        .total_timeout(ms(20))
        .total_timeout(None);
    let held = hold(&layer, request()).await;
    held.is_closed_by(Limit::DrainTimeout, ms(70), "the others were taken back");
}

#[tokio::test(start_paused = true)]
async fn the_earlier_of_the_two_closes_the_window_and_is_named() {
    const DRAIN: Limit = Limit::DrainTimeout;
    const TOTAL: Limit = Limit::TotalTimeout;
    for (drain, total, handling, took, bound) in [
        (30, 100, 0, 30, DRAIN),
        (30, 100, 69, 99, DRAIN),
        (30, 100, 71, 100, TOTAL),
        (30, 100, 200, 200, TOTAL),
        (100, 30, 0, 30, TOTAL),
        (0, 100, 10, 10, DRAIN),
        (100, 0, 10, 10, TOTAL),
    ] {
        let layer = TaskTrackerLayer::new()
            .drain_timeout(ms(drain))
            .total_timeout(ms(total));
        let held = hold_after(ms(handling), &layer, request()).await;
        held.is_closed_by(bound, ms(took), (drain, total, handling));
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_tasks_is_the_earliest_limit_that_has_begun() {
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(30))
        .total_timeout(ms(100));
    let arrival = Instant::now();
    let service = slow(&layer, ms(20), move || {
        let tasks = current();
        let known = move |tasks: &Tasks| tasks.deadline().map(|at| at - arrival);
        assert_eq!(known(&tasks), Some(ms(100)), "the window is not open");
        spawn(async move {
            after(10).await;
            assert_eq!(known(&tasks), Some(ms(50)), "it opened after 20 ms");
            pending::<()>().await;
        });
    });
    drop(service.oneshot(request()).await);
    assert_eq!(arrival.elapsed(), ms(50));
}

#[tokio::test(start_paused = true)]
async fn the_default_drain_timeout_is_25_seconds() {
    let service = tracked(&TaskTrackerLayer::new(), || {
        spawn(pending::<()>());
    });
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed().as_secs(), 25);
}
