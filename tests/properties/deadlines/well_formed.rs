//! A well-formed header is understood exactly.

use std::time::Duration;

use http::Request;
use proptest::prelude::*;
use tower_task_tracker::{Limit, TaskTrackerLayer, deadline};

use super::HEADERS;
use crate::for_all::for_all;
use crate::support::deadlines::{Held, hold_after, is_turned_into_tokios_clock, layer_with};
use crate::support::{ms, with_field};

/// The window closes exactly there, but not before the answer or after the layer's own timeout.
async fn closes_at(
    layer: &TaskTrackerLayer,
    request: Request<()>,
    (bound, timeout): (&'static str, Duration),
    (handling, own): (Duration, Duration),
) -> Result<(), TestCaseError> {
    let layer = layer.clone().drain_timeout(own);
    let held = hold_after(handling, &layer, request).await;
    prop_assert_eq!(held.known, Some(timeout));
    // A tie is the layer's. A hold ends with a tick of the timer, which has one each millisecond.
    let (bound, at) = if timeout < handling + own {
        let tick = Duration::from_millis(timeout.as_nanos().div_ceil(1_000_000) as u64);
        (Limit::Source(bound), tick.max(handling))
    } else {
        (Limit::DrainTimeout, handling + own)
    };
    prop_assert_eq!((held.took, held.report.closed_by), (at, Some(bound)));
    Ok(())
}

/// How long the handler takes, and the layer's own timeout.
fn times() -> impl Strategy<Value = (Duration, Duration)> {
    let handling = prop_oneof![Just(0_u64), 0..2_000_u64];
    let own = prop_oneof![0..2_000_u64, 0..20_000_000_u64, Just(1_000_000_000_000)];
    (handling, own).prop_map(|(handling, own)| (ms(handling), ms(own)))
}

#[test]
fn every_grpc_timeout_is_understood_exactly() {
    let units = [
        ("H", Duration::from_secs(3600)),
        ("M", Duration::from_secs(60)),
        ("S", Duration::from_secs(1)),
        ("m", Duration::from_millis(1)),
        ("u", Duration::from_micros(1)),
        ("n", Duration::from_nanos(1)),
    ];
    let amount = prop_oneof![1..100_u32, 1..100_000_000_u32];
    let strategy = (
        amount,
        1..=8_usize,
        proptest::sample::select(units.to_vec()),
        times(),
    );
    for_all(
        3_000,
        &strategy,
        async |(amount, width, (letter, unit), times)| {
            let request = with_field(HEADERS[0], format!("{amount:0width$}{letter}"));
            let layer = layer_with(deadline::grpc_timeout());
            closes_at(&layer, request, (HEADERS[0], unit * amount), times).await
        },
    );
}

#[test]
fn every_wait_is_understood_exactly() {
    let name = proptest::sample::select(vec!["wait", "Wait", "WAIT"]);
    let equals = proptest::sample::select(vec!["=", " =", "= ", "\t= "]);
    let before = r#"([a-z]{1,3}(="([ -!#-\[\]-~]|\\["\\])*")?(; ?[a-z]=[a-z])?, ?){0,3}"#;
    let after = r#"( ?; ?[a-z](="[a-z,;]*")?)?(, ?[a-z=0-9]{1,8}){0,3}"#;
    let seconds = prop_oneof![1..100_u64, 1..1_000_000_000_u64];
    let strategy = (before, name, equals, seconds, any::<bool>(), after, times());
    for_all(
        3_000,
        &strategy,
        async |(before, name, equals, seconds, quoted, after, times)| {
            let quote = if quoted { "\"" } else { "" };
            let field = format!("{before}{name}{equals}{quote}{seconds}{quote}{after}");
            let request = with_field(HEADERS[1], field);
            let layer = layer_with(deadline::prefer_wait());
            let timeout = Duration::from_secs(seconds);
            closes_at(&layer, request, ("prefer-wait", timeout), times).await
        },
    );
}

#[test]
fn every_deadline_of_lambda_is_understood_exactly() {
    let key = proptest::sample::select(vec!["deadline", "deadline_ms"]);
    let strategy = (key, 5_000..900_000_u64, 0..2_000_u64);
    for_all(300, &strategy, async |(key, away, handling)| {
        let bound = Limit::Source(HEADERS[2]);
        let serve = async |deadline: u64| -> Held {
            let context = format!("{{\"request_id\":\"x\",\"{key}\":{deadline}}}");
            let layer = layer_with(deadline::lambda_web_adapter());
            hold_after(ms(handling), &layer, with_field(HEADERS[2], context)).await
        };
        is_turned_into_tokios_clock(bound, ms(away), serve).await;
        Ok(())
    });
}
