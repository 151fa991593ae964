//! `unix_millis`: a closure that returns milliseconds of Unix time.

use std::time::Duration;

use http::request::Parts;
use tower_task_tracker::{Limit, TaskTrackerLayer, deadline};

use super::{NOW, OWN, hold, hold_after, is_turned_into_tokios_clock, layer_with, unix_now};
use crate::support::{ms, request, with_field};

const BOUND: Limit = Limit::Source("unix-millis");

const MINUTE: Duration = Duration::from_secs(60);

fn layer(millis: Option<u64>) -> TaskTrackerLayer {
    layer_with(deadline::unix_millis(move |_: &Parts| millis))
}

#[tokio::test(start_paused = true)]
async fn what_the_closure_finds_is_turned_into_tokios_clock() {
    is_turned_into_tokios_clock(BOUND, MINUTE, async |deadline| {
        let source = deadline::unix_millis(|parts: &Parts| {
            parts.headers.get("x-deadline")?.to_str().ok()?.parse().ok()
        });
        let request = with_field("x-deadline", deadline.to_string());
        hold(&layer_with(source), request).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_extensions_of_the_request_can_be_read_too() {
    #[derive(Clone)]
    struct Invocation {
        deadline: u64,
    }
    is_turned_into_tokios_clock(Limit::Source("invocation"), MINUTE, async |deadline| {
        let source = deadline::unix_millis(|parts: &Parts| {
            Some(parts.extensions.get::<Invocation>()?.deadline)
        });
        let mut request = request();
        request.extensions_mut().insert(Invocation { deadline });
        hold(&layer_with(source.named("invocation")), request).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_found_and_what_is_past_is_no_deadline() {
    let just_now = unix_now().as_millis() as u64 - 1;
    for millis in [None, Some(0), Some(1), Some(600_000), Some(just_now)] {
        let held = hold(&layer(millis), request()).await;
        held.is_left_to_the_layer(millis);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_far_away_does_not_make_the_hold_longer() {
    for millis in [253_402_300_800_000, u64::MAX / 2, u64::MAX] {
        let held = hold(&layer(Some(millis)), request()).await;
        held.is_closed_by(Limit::DrainTimeout, OWN, millis);
    }
}

#[tokio::test(start_paused = true)]
async fn a_margin_is_taken_off_and_what_would_be_past_is_now() {
    let soon = (unix_now() + MINUTE).as_millis() as u64;
    let source = deadline::unix_millis(move |_: &Parts| Some(soon)).margin(2 * MINUTE);
    let held = hold_after(ms(3), &layer_with(source), request()).await;
    assert_eq!(held.known, Some(NOW));
    held.is_closed_by(BOUND, ms(3), "one turn after the answer");
}
