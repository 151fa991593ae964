//! `x-amzn-lambda-context`: the deadline of a Lambda invocation, in Unix milliseconds.

use std::time::Duration;

use serde_json::json;
use tower_task_tracker::{Limit, TaskTrackerLayer, deadline};

use super::{Held, NOW, OWN, hold, hold_after, is_turned_into_tokios_clock, layer_with, unix_now};
use crate::support::{ms, with_field, with_fields};

const HEADER: &str = "x-amzn-lambda-context";

const BOUND: Limit = Limit::Source(HEADER);

const MINUTE: Duration = Duration::from_secs(60);

fn layer() -> TaskTrackerLayer {
    layer_with(deadline::lambda_web_adapter())
}

fn in_a_minute() -> u64 {
    (unix_now() + MINUTE).as_millis() as u64
}

async fn serve(context: impl ToString) -> Held {
    hold(&layer(), with_field(HEADER, context.to_string())).await
}

async fn is_ignored(context: impl ToString) {
    let context = context.to_string();
    serve(&context).await.is_left_to_the_layer(context);
}

#[tokio::test(start_paused = true)]
async fn its_deadline_is_turned_into_tokios_clock() {
    is_turned_into_tokios_clock(BOUND, MINUTE, async |deadline| {
        // As the adapter writes it.
        serve(json!({
            "request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "deadline": deadline,
            "invoked_function_arn": "arn:aws:lambda:us-east-2:123456789012:function:custom",
            "xray_trace_id": null,
            "client_context": null,
            "identity": null,
            "env_config": { "function_name": "custom", "memory": 128, "version": "$LATEST" },
        }))
        .await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_deadline_may_be_called_deadline_ms() {
    is_turned_into_tokios_clock(BOUND, MINUTE, async |deadline| {
        serve(json!({ "deadline_ms": deadline })).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn text_that_is_not_ascii_hides_nothing() {
    is_turned_into_tokios_clock(BOUND, MINUTE, async |deadline| {
        serve(json!({ "client_context": { "name": "Zo\u{eb}" }, "deadline": deadline })).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_margin_is_taken_off_once() {
    let layer = layer_with(deadline::lambda_web_adapter().margin(MINUTE / 6));
    // That makes 50 s.
    is_turned_into_tokios_clock(BOUND, MINUTE * 5 / 6, async |deadline| {
        let context = json!({ "deadline": deadline + 10_000 });
        hold(&layer, with_field(HEADER, context.to_string())).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_margin_that_is_longer_than_what_is_left_closes_the_window_at_once() {
    let layer = layer_with(deadline::lambda_web_adapter().margin(2 * MINUTE));
    let context = json!({ "deadline": in_a_minute() }).to_string();
    let held = hold(&layer, with_field(HEADER, &context)).await;
    assert_eq!(held.known, Some(NOW));
    held.is_closed_by(BOUND, NOW, "two minutes off one");
    let held = hold_after(ms(5), &layer, with_field(HEADER, &context)).await;
    held.is_closed_by(BOUND, ms(5), "as soon as the handler has answered");
}

#[tokio::test(start_paused = true)]
async fn what_is_past_is_ignored() {
    // Local emulators send such deadlines.
    for deadline in [0, 1, 600_000, unix_now().as_millis() as u64 - 1] {
        is_ignored(json!({ "deadline": deadline })).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_past_stays_ignored_with_a_margin() {
    let layer = layer_with(deadline::lambda_web_adapter().margin(MINUTE));
    let context = json!({ "deadline": 600_000 }).to_string();
    let held = hold(&layer, with_field(HEADER, context)).await;
    held.is_left_to_the_layer("a margin makes no deadline");
}

#[tokio::test(start_paused = true)]
async fn only_the_keys_of_the_context_itself_count() {
    let deadline = in_a_minute();
    let inner = json!({ "deadline": deadline, "deadline_ms": deadline });
    is_ignored(json!({ "client_context": inner })).await;
    is_ignored(json!({ "client_context": { "custom": inner } })).await;
    is_ignored(json!({ "client_context": inner.to_string() })).await;
    is_ignored(json!({ "env_config": inner, "deadlines": deadline })).await;
    is_ignored(json!([inner])).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_no_whole_number_is_ignored() {
    let deadline = in_a_minute();
    for value in [
        json!(null),
        json!(true),
        json!(deadline.to_string()),
        json!([deadline]),
        json!({ "deadline": deadline }),
        json!(-(deadline as i64)),
        json!(deadline as f64 + 0.5),
    ] {
        is_ignored(json!({ "deadline": value })).await;
        is_ignored(json!({ "deadline_ms": value })).await;
    }
    for number in ["18446744073709551616", "1e400", "1.7e12", "+1", "0x1"] {
        is_ignored(format!("{{\"deadline\":{number}}}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_json_object_is_ignored() {
    let deadline = in_a_minute();
    is_ignored("").await;
    is_ignored("deadline").await;
    is_ignored("null").await;
    is_ignored(deadline).await;
    is_ignored(format!("{{\"deadline\":{deadline}")).await;
    is_ignored(format!("{{\"deadline\":{deadline}}}}}")).await;
    is_ignored(format!("{{'deadline':{deadline}}}")).await;
    is_ignored(format!("deadline={deadline}")).await;
    // Deeper than a parser's stack.
    is_ignored("[".repeat(100_000)).await;
    is_ignored("{\"deadline\":".repeat(100_000)).await;
    let fields: [&[u8]; 2] = [b"\xff{\"deadline\":1}", b"{"];
    for field in fields {
        let held = hold(&layer(), with_field(HEADER, field)).await;
        held.is_left_to_the_layer(String::from_utf8_lossy(field));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_far_away_does_not_make_the_hold_longer() {
    let days = Duration::from_secs(365 * 24 * 60 * 60);
    for deadline in [
        (unix_now() + days).as_millis() as u64,
        u64::MAX / 2,
        u64::MAX,
    ] {
        let held = serve(json!({ "deadline": deadline })).await;
        held.is_closed_by(Limit::DrainTimeout, OWN, deadline);
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_fields_the_first_counts() {
    let context = json!({ "deadline": in_a_minute() }).to_string();
    let fields: [&[u8]; 2] = [b"{}", context.as_bytes()];
    let held = hold(&layer(), with_fields(HEADER, &fields)).await;
    held.is_left_to_the_layer("the first has none");
}
