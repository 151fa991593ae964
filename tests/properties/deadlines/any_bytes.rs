//! No header causes a panic, a hold that is longer than the layer's own limit, or the end of a task.

use http::HeaderValue;
use proptest::prelude::*;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{TaskTrackerLayer, Unfinished, deadline, spawn};

use super::HEADERS;
use crate::for_all::for_all;
use crate::support::deadlines::layer_with;
use crate::support::{Log, after, ms, request, tracked};

/// Pieces of what is well formed, so that some of it comes out nearly right.
const PIECES: &str = "0|1|7|99999999|18446744073709551616|H|M|S|m|u|n|wait|WAIT|=|\"|\\|,|;| |\t|-|+|.|e|\
    {|}|[|]|:|\"deadline\"|\"deadline_ms\":|{\"deadline\":|null|\u{e9}";

/// What a client may say to end a hold early.
const WELL_FORMED: [&str; 4] = ["1S", "90m", "wait=1", "wait=\"2\""];

/// Whatever a header may say: all bytes but control characters.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no control character", |byte| {
        *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)
    });
    let piece = proptest::sample::select(PIECES.split('|').collect::<Vec<_>>());
    let pieces = |most| {
        proptest::collection::vec(piece.clone(), 0..=most).prop_map(|pieces| pieces.concat())
    };
    let well_formed = proptest::sample::select(WELL_FORMED.as_slice());
    prop_oneof![
        proptest::collection::vec(byte, 0..40),
        pieces(12).prop_map(String::into_bytes),
        (pieces(1), well_formed, pieces(1)).prop_map(|(a, b, c)| [&a, b, &c].concat().into_bytes()),
    ]
}

fn every_source() -> TaskTrackerLayer {
    layer_with(deadline::grpc_timeout())
        .deadline_source(deadline::prefer_wait())
        .deadline_source(deadline::lambda_web_adapter())
        .drain_timeout(ms(3000))
}

#[test]
fn no_header_makes_a_hold_longer_or_kills_a_task() {
    let policy = prop_oneof![
        Just(Unfinished::Continue),
        Just(Unfinished::Abort),
        Just(Unfinished::Cancel { grace: ms(200) }),
    ];
    for_all(
        3_000,
        &([value(), value(), value()], policy),
        async |(values, policy)| {
            let serve = |layer: &TaskTrackerLayer, millis| {
                let mut request = request();
                for (name, value) in HEADERS.into_iter().zip(&values) {
                    let value = HeaderValue::from_bytes(value).expect("no control character");
                    request.headers_mut().insert(name, value);
                }
                tracked(layer, move || {
                    spawn(after(millis));
                })
                .oneshot(request)
            };
            // It is done before the layer's own timeout, and before anything is aborted for that.
            let log = Log::default();
            let layer = every_source().at_deadline(policy).observer(log.clone());
            let start = Instant::now();
            drop(serve(&layer, 2_500).await);
            prop_assert!(start.elapsed() <= ms(2_500));
            layer.handle().wait_idle().await;
            prop_assert_eq!(start.elapsed(), ms(2_500), "the task ran to its end");
            prop_assert_eq!(log.report().aborted, 0);
            // It is never done.
            let start = Instant::now();
            drop(serve(&every_source(), 100_000_000).await);
            prop_assert!(start.elapsed() <= ms(3_000));
            Ok(())
        },
    );
}
