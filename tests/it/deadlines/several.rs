//! Several limits: the earliest closes the window, and the report names it.

use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::deadline;
use tower_task_tracker::{Limit, Unfinished, spawn};

use super::nested::named;
use super::{NOW, arrival_plus, hold, hold_after, layer_with};
use crate::support::{after, ms, request, tracked, with_field};

#[tokio::test(start_paused = true)]
async fn of_several_the_earliest_closes_the_window_and_is_named() {
    for millis in [[10, 20, 30], [10, 30, 20], [20, 10, 30], [30, 20, 10]] {
        let [first, second, third] = millis;
        let layer = layer_with(named("first", first))
            .deadline_source(named("second", second))
            .deadline_source(named("third", third));
        let earliest = if first == 10 {
            "first"
        } else if second == 10 {
            "second"
        } else {
            "third"
        };
        let held = hold(&layer, request()).await;
        held.is_closed_by(Limit::Source(earliest), ms(10), millis);
    }
}

#[tokio::test(start_paused = true)]
async fn of_limits_that_have_all_passed_before_the_answer_the_earliest_is_named() {
    let layer =
        |first, second| layer_with(named("first", first)).deadline_source(named("second", second));
    let total = |total, source| layer_with(named("first", source)).total_timeout(ms(total));
    for (layer, bound) in [
        (layer(10, 20), Limit::Source("first")),
        (layer(20, 10), Limit::Source("second")),
        (layer(20, 10).drain_timeout(NOW), Limit::Source("second")),
        (total(20, 10), Limit::Source("first")),
        (total(10, 20), Limit::TotalTimeout),
    ] {
        let held = hold_after(ms(30), &layer, request()).await;
        held.is_closed_by(bound, ms(30), bound);
    }
}

#[tokio::test(start_paused = true)]
async fn sources_of_one_name_are_each_what_they_are() {
    // The client's ends no work, whatever the platform's of the same name would do.
    let layer = layer_with(named("limit", 100))
        .deadline_source(named("limit", 50).from_client())
        .at_deadline(Unfinished::Abort);
    let held = hold(&layer, request()).await;
    held.is_closed_by(Limit::Source("limit"), ms(50), "the client's");
    assert_eq!(held.report.aborted, 0, "{}", held.report);

    // The `at_least` of one of them does not apply to the other.
    let layer =
        layer_with(named("limit", 50).at_least(ms(200))).deadline_source(named("limit", 100));
    let held = hold(&layer, request()).await;
    held.is_closed_by(Limit::Source("limit"), ms(100), "the other");
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_source_is_its_name_in_reports() {
    let source = deadline::grpc_timeout().named("caller");
    let held = hold(&layer_with(source), with_field("grpc-timeout", "7m")).await;
    held.is_closed_by(Limit::Source("caller"), ms(7), "not by its header");
    assert!(
        held.report.to_string().contains("caller"),
        "{}",
        held.report
    );
}

#[tokio::test(start_paused = true)]
async fn at_a_tie_the_layers_own_limits_are_named_and_then_the_first_source() {
    let two = layer_with(named("one", 50)).deadline_source(named("other", 50));
    let held = hold(&two, request()).await;
    held.is_closed_by(Limit::Source("one"), ms(50), "the first that was added");
    let total = two.clone().total_timeout(ms(50));
    let held = hold(&total, request()).await;
    held.is_closed_by(Limit::TotalTimeout, ms(50), "the total timeout");
    let held = hold(&total.drain_timeout(ms(50)), request()).await;
    held.is_closed_by(Limit::DrainTimeout, ms(50), "the drain timeout");
}

#[tokio::test(start_paused = true)]
async fn a_source_never_makes_a_hold_longer() {
    let layer = layer_with(arrival_plus(5000)).drain_timeout(ms(30));
    let held = hold(&layer, request()).await;
    held.is_closed_by(Limit::DrainTimeout, ms(30), "5 s");
    let held = hold(&layer.drain_timeout(None).total_timeout(ms(40)), request()).await;
    held.is_closed_by(Limit::TotalTimeout, ms(40), "5 s");

    let service = tracked(&layer_with(arrival_plus(5000)), || {
        spawn(after(10));
    });
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(10), "the task has ended");
}
