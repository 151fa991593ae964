//! `grpc-timeout`: how long the caller of a gRPC method waits.

use std::time::Duration;

use tokio::time::Instant;
use tower::Service;
use tower_task_tracker::{Limit, TaskTrackerLayer, deadline, spawn};

use super::{OWN, hold, hold_after, layer_with, slow};
use crate::support::{after, current, ms, request, tracked, with_field, with_fields};

const HEADER: &str = "grpc-timeout";

const BOUND: Limit = Limit::Source(HEADER);

fn layer() -> TaskTrackerLayer {
    layer_with(deadline::grpc_timeout())
}

#[tokio::test(start_paused = true)]
async fn each_unit_shortens_the_hold_to_its_timeout() {
    for (value, timeout) in [
        ("2H", Duration::from_secs(2 * 60 * 60)),
        ("3M", Duration::from_secs(3 * 60)),
        ("4S", Duration::from_secs(4)),
        ("5m", ms(5)),
        ("6000u", ms(6)),
        ("7000000n", ms(7)),
    ] {
        let held = hold(&layer(), with_field(HEADER, value)).await;
        assert_eq!(held.known, Some(timeout), "{value}");
        held.is_closed_by(BOUND, timeout, value);
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_shorter_than_a_tick_of_the_timer_is_exact_in_the_deadline() {
    for (value, timeout) in [
        ("1n", Duration::from_nanos(1)),
        ("1u", Duration::from_micros(1)),
        ("1500u", Duration::from_micros(1500)),
    ] {
        let held = hold(&layer(), with_field(HEADER, value)).await;
        assert_eq!(held.known, Some(timeout), "{value}");
        assert_eq!(held.report.closed_by, Some(BOUND), "{value}");
        assert!(held.took < timeout + ms(1), "{value}: {:?}", held.took);
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_has_one_to_eight_digits() {
    for (value, millis) in [("9m", 9), ("00000009m", 9), ("12345678m", 12_345_678)] {
        let held = hold(&layer(), with_field(HEADER, value)).await;
        held.is_closed_by(BOUND, ms(millis), value);
    }
}

#[tokio::test(start_paused = true)]
async fn it_counts_from_the_arrival_and_not_from_the_answer() {
    let held = hold_after(ms(30), &layer(), with_field(HEADER, "50m")).await;
    held.is_closed_by(BOUND, ms(50), "20 ms after the answer");
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_not_interrupted_and_ready_tasks_get_one_turn() {
    let log = crate::support::Log::default();
    let layer = layer().observer(log.clone());
    let mut service = slow(&layer, ms(80), || {
        spawn(async {});
        spawn(after(1));
    });
    let start = Instant::now();
    drop(service.call(with_field(HEADER, "50m")).await);
    assert_eq!(start.elapsed(), ms(80), "it is not held any more");
    let report = log.report();
    assert_eq!((report.completed, report.stragglers.len()), (1, 1));
    assert_eq!(report.closed_by, Some(BOUND));
    assert_eq!(report.held, ms(0));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_grpc_timeout_is_ignored() {
    let malformed: &[&[u8]] = &[
        b"",
        b"m",
        b"5",
        b"123456789m",
        b"000000009m",
        b"5s",
        b"5h",
        b"5M5",
        b"5ms",
        b"5x",
        b"-5m",
        b"+5m",
        b"5 m",
        b" 5m",
        b"5m ",
        b"5\tm",
        b"5.0m",
        b"5e1m",
        b"0x5m",
        b"5_0m",
        b"5m, 5m",
        b"m5",
        b"\xb5",
        b"5\xb5",
        b"5\xc2\xb5",
        b"\xff\xfem",
        "\u{0665}m".as_bytes(),
        "5\u{ff4d}".as_bytes(),
    ];
    for value in malformed {
        let which = String::from_utf8_lossy(value);
        hold(&layer(), with_field(HEADER, value))
            .await
            .is_left_to_the_layer(which);
    }
    hold(&layer(), request())
        .await
        .is_left_to_the_layer("no header");
}

#[tokio::test(start_paused = true)]
async fn zero_is_ignored_in_every_unit() {
    for value in ["0H", "0M", "0S", "0m", "0u", "0n", "00000000n"] {
        let held = hold(&layer(), with_field(HEADER, value)).await;
        held.is_left_to_the_layer(value);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_timeout_does_not_make_the_hold_longer() {
    for value in ["99999999H", "99999999M", "100H", "101H"] {
        let held = hold(&layer(), with_field(HEADER, value)).await;
        held.is_closed_by(Limit::DrainTimeout, OWN, value);
    }
    // Nor is it more than the timer can bear, where it is the only limit.
    let layer = layer().drain_timeout(None);
    let mut service = tracked(&layer, || {
        spawn(after(10));
    });
    let start = Instant::now();
    drop(service.call(with_field(HEADER, "99999999H")).await);
    assert_eq!(start.elapsed(), ms(10));
}

#[tokio::test(start_paused = true)]
async fn of_several_fields_the_first_counts() {
    let held = hold(&layer(), with_fields(HEADER, &[b"9m", b"4m"])).await;
    held.is_closed_by(BOUND, ms(9), "the second is shorter");
}

/// On tokio's clock as it is, time passes between the arrival and every look at the header. Clients
/// whose deadline is past say `1n`.
#[tokio::test]
async fn a_nanosecond_is_not_past_when_it_arrives() {
    for value in ["1n", "1u"] {
        let mut service = tracked(&layer(), || {
            let tasks = current();
            assert!(tasks.deadline().is_some(), "it is a deadline");
        });
        drop(service.call(with_field(HEADER, value)).await);
    }
}
