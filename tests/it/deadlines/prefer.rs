//! `Prefer: wait=N` (RFC 7240): how many seconds a client is willing to wait.

use std::time::Duration;

use tower_task_tracker::{Limit, TaskTrackerLayer, deadline};

use super::{OWN, hold, hold_after, layer_with};
use crate::support::{with_field, with_fields};

const HEADER: &str = "prefer";

const BOUND: Limit = Limit::Source("prefer-wait");

fn layer() -> TaskTrackerLayer {
    layer_with(deadline::prefer_wait())
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Each of these fields wishes for three seconds.
async fn are_three_seconds(fields: &[&str]) {
    for field in fields {
        let held = hold(&layer(), with_field(HEADER, field)).await;
        assert_eq!(held.known, Some(secs(3)), "{field}");
        held.is_closed_by(BOUND, secs(3), field);
    }
}

async fn are_ignored(fields: &[&str]) {
    for field in fields {
        let held = hold(&layer(), with_field(HEADER, field)).await;
        held.is_left_to_the_layer(field);
    }
}

#[tokio::test(start_paused = true)]
async fn it_counts_whole_seconds_from_the_arrival() {
    for (field, seconds) in [("wait=1", 1), ("wait=30", 30), ("wait=0000090", 90)] {
        let held = hold_after(secs(1), &layer(), with_field(HEADER, field)).await;
        held.is_closed_by(BOUND, secs(seconds), field);
    }
}

#[tokio::test(start_paused = true)]
async fn the_case_of_the_name_does_not_matter() {
    are_three_seconds(&["wait=3", "WAIT=3", "Wait=3", "wAiT=3"]).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_found_among_other_preferences_of_a_field() {
    are_three_seconds(&[
        "respond-async, wait=3",
        "wait=3, respond-async",
        "return=minimal,wait=3,handling=lenient",
        "  ,, ,\t wait=3 ,",
        "waiting=1, await=1, wait-1=1, wait=3",
        "foo=wait, wait=3",
        "foo=\"\", wait=3",
        "foo==wait=1, wait=3",
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_is_found_among_several_fields() {
    let fields: [&[u8]; 3] = [b"respond-async", b"return=minimal, wait=3", b"wait=1"];
    let held = hold(&layer(), with_fields(HEADER, &fields)).await;
    held.is_closed_by(BOUND, secs(3), "the first wait is in the second field");
}

#[tokio::test(start_paused = true)]
async fn of_several_the_first_counts_even_if_it_is_no_number() {
    are_three_seconds(&["wait=3, wait=1", "wait=3, WAIT=1", "wait=3, wait"]).await;
    are_ignored(&["wait=soon, wait=1", "wait, wait=1", "wait=0, wait=1"]).await;
    for fields in [[b"wait=x".as_slice(), b"wait=1"], [b"wait", b"wait=1"]] {
        let held = hold(&layer(), with_fields(HEADER, &fields)).await;
        held.is_left_to_the_layer("the first of two fields is no number");
    }
}

#[tokio::test(start_paused = true)]
async fn its_value_may_be_quoted() {
    are_three_seconds(&["wait=\"3\"", "wait = \"3\" ; x", "wait=\"3\", wait=1"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_another_preference_quotes_is_not_read() {
    are_three_seconds(&[
        r#"foo="bar, wait=1", wait=3"#,
        r#"foo="\", wait=1", wait=3"#,
        r#"foo="\\", wait=3, bar="wait=1""#,
        r#"foo="; wait=1, wait=1;", wait=3"#,
        r#"foo; bar="x, wait=1; y", wait=3"#,
        r#"foo="=", wait=3"#,
        r#"foo\, wait=3"#,
    ])
    .await;
    are_ignored(&[
        r#"foo="bar, wait=1""#,
        r#"foo="bar, wait=1"#,
        r#"foo="\", wait=1"#,
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn text_that_is_not_ascii_in_another_preference_hides_nothing() {
    // RFC 9110 allows it in quoted strings (`obs-text`), in whatever encoding.
    for field in [
        b"foo=\"\xe9t\xe9\", wait=3".as_slice(),
        "foo=\"\u{e9}t\u{e9}, wait=1\", wait=3".as_bytes(),
        b"wait=3, foo=\"\xff\"",
    ] {
        let held = hold(&layer(), with_fields(HEADER, &[field, b"wait=1"])).await;
        held.is_closed_by(BOUND, secs(3), String::from_utf8_lossy(field));
    }
    for field in [b"wait=\xb3".as_slice(), b"wait=\"3\xa0\"", b"w\xe4it=3"] {
        let held = hold(&layer(), with_field(HEADER, field)).await;
        held.is_left_to_the_layer(String::from_utf8_lossy(field));
    }
}

#[tokio::test(start_paused = true)]
async fn parameters_are_not_read() {
    are_three_seconds(&[
        "wait=3;strict",
        "wait=3; wait=1",
        "wait=3 ; x=\"1;2\"",
        "foo;wait=1, wait=3",
        "foo=bar; wait=1; baz, wait=3",
        "wait=3;",
    ])
    .await;
    are_ignored(&["foo;wait=1", "foo=bar ; wait=1", ";wait=1"]).await;
}

#[tokio::test(start_paused = true)]
async fn there_may_be_space_around_the_equals_sign() {
    are_three_seconds(&["wait = 3", "wait\t=\t3", "wait= 3", "wait =3", " wait=3 "]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_number_of_seconds_above_zero_is_ignored() {
    are_ignored(&[
        "",
        "wait",
        "wait=",
        "wait=\"\"",
        "wait=-3",
        "wait=+3",
        "wait=3.0",
        "wait=3e1",
        "wait=0x3",
        "wait=3s",
        "wait=3 0",
        "wait=3_0",
        "wait=\"3",
        "wait=3\"",
        "wait='3'",
        "wait=\" 3\"",
        "\"wait\"=3",
        "wait 3",
        "wait:3",
        "wait==3",
        "wait=0",
        "wait=\"0\"",
        "wait=000",
        "wait=18446744073709551615",
        "wait=18446744073709551616",
        "wait=999999999999999999999999999999999999999999999999",
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_does_not_make_the_hold_longer() {
    for field in ["wait=360000", "wait=999999999", "wait=9000000000000000000"] {
        let held = hold(&layer(), with_field(HEADER, field)).await;
        held.is_closed_by(Limit::DrainTimeout, OWN, field);
    }
}
