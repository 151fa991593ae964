//! `margin`: what is subtracted from the instant of a source.

use std::time::Duration;

use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::deadline::{self, Source};
use tower_task_tracker::{Limit, spawn};

use super::{NOW, hold, hold_after, layer_with, slow};
use crate::support::{Log, after, ms, request, with_field};

const BOUND: Limit = Limit::Source("platform");

fn platform(millis: u64) -> Source {
    Source::new("platform", move |_| Some(Instant::now() + ms(millis)))
}

#[tokio::test(start_paused = true)]
async fn it_is_taken_off_once() {
    let held = hold(&layer_with(platform(100).margin(ms(30))), request()).await;
    assert_eq!(held.known, Some(ms(70)));
    held.is_closed_by(BOUND, ms(70), "100 ms, less 30");
    let grpc = layer_with(deadline::grpc_timeout().margin(ms(40)).named("platform"));
    let held = hold(&grpc, with_field("grpc-timeout", "100m")).await;
    held.is_closed_by(BOUND, ms(60), "100 ms, less 40");
}

#[tokio::test(start_paused = true)]
async fn of_two_calls_the_last_counts() {
    let source = platform(100).margin(ms(90)).margin(ms(10));
    let held = hold(&layer_with(source), request()).await;
    held.is_closed_by(BOUND, ms(90), "they do not add up");
}

#[tokio::test(start_paused = true)]
async fn it_decides_which_of_several_is_the_earliest() {
    let other = Source::new("other", |_| Some(Instant::now() + ms(80)));
    let layer = layer_with(platform(100).margin(ms(30))).deadline_source(other);
    let held = hold(&layer, request()).await;
    held.is_closed_by(BOUND, ms(70), "it is earlier with its margin");
}

#[tokio::test(start_paused = true)]
async fn more_than_is_left_makes_it_now_and_running_tasks_still_get_one_turn() {
    for margin in [
        ms(100),
        ms(101),
        Duration::from_secs(1 << 40),
        Duration::MAX,
    ] {
        let log = Log::default();
        let layer = layer_with(platform(100).margin(margin)).observer(log.clone());
        let service = slow(&layer, NOW, || {
            spawn(async {});
            spawn(after(1));
        });
        let start = Instant::now();
        drop(service.oneshot(request()).await);
        assert_eq!(start.elapsed(), NOW, "{margin:?}");
        let report = log.report();
        assert_eq!(report.closed_by, Some(BOUND), "{margin:?}");
        assert_eq!(report.completed, 1, "{margin:?}: one turn was enough");
        assert_eq!(report.stragglers.len(), 1, "{margin:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_taken_off_before_at_least_is_looked_at() {
    let source = platform(100).margin(ms(80)).at_least(ms(50));
    let layer = layer_with(source);
    let held = hold(&layer, request()).await;
    held.is_closed_by(BOUND, ms(50), "20 ms are not enough");
    let held = hold_after(ms(30), &layer, request()).await;
    held.is_closed_by(BOUND, ms(80), "50 ms after the answer");
}
