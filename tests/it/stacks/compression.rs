//! A compressor. Outside the tracker it leaves the head held. Inside it makes a stream of every body that it
//! compresses.

use std::convert::Infallible;
use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tower::{ServiceBuilder, service_fn};
use tower_http::compression::CompressionLayer;
use tower_task_tracker::{Hold, Outcome, named};

use super::handlers::{TEXT, leave_work_behind, stream, text};
use super::wire::{Exchange, exchange};
use super::{LIMIT, WORK, observed};
use crate::support::{Log, full};

const AT_ONCE: Duration = Duration::ZERO;

fn is_compressed(got: &Exchange) -> bool {
    let said = got.head.headers.get(CONTENT_ENCODING);
    let is = got.body.starts_with(&[0x1f, 0x8b]);
    assert_eq!(said.is_some_and(|said| said == "gzip"), is, "{got:?}");
    is
}

#[tokio::test(start_paused = true)]
async fn a_compressor_outside_leaves_the_head_held() {
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(CompressionLayer::new());
    let got = exchange(stack.layer(observed(&log)).service(text(AT_ONCE))).await;
    assert!(is_compressed(&got), "{got:?}");
    assert_eq!((got.head_after, got.ended_after), (WORK, WORK));
    let report = log.report();
    assert_eq!((report.outcome, report.held), (Outcome::Drained, WORK));
}

#[tokio::test(start_paused = true)]
async fn a_compressor_inside_has_the_end_held_instead_of_the_head() {
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(observed(&log));
    let stack = stack.layer(CompressionLayer::new());
    let got = exchange(stack.service(text(AT_ONCE))).await;
    assert!(is_compressed(&got), "{got:?}");
    assert_eq!(got.head_after, AT_ONCE);
    assert_eq!(got.data_after, Some(AT_ONCE));
    assert_eq!((got.ended_after, got.is_whole), (WORK, true));
    let report = log.report();
    assert_eq!((report.outcome, report.held), (Outcome::Drained, WORK));

    // Asked for it, the head is held there too.
    let layer = observed(&Log::default()).hold(Hold::Head);
    let stack = ServiceBuilder::new().layer(layer);
    let stack = stack.layer(CompressionLayer::new());
    let got = exchange(stack.service(text(AT_ONCE))).await;
    assert!(is_compressed(&got), "{got:?}");
    assert_eq!((got.head_after, got.ended_after), (WORK, WORK));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_changes_the_status_only_with_the_compressor_outside() {
    let late = StatusCode::GATEWAY_TIMEOUT;
    let layer = |log: &Log| {
        let layer = observed(log).drain_timeout(LIMIT);
        layer.deadline_status(late)
    };
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(CompressionLayer::new());
    let got = exchange(stack.layer(layer(&log)).service(text(AT_ONCE))).await;
    assert_eq!((got.head.status, got.ended_after), (late, LIMIT));
    assert!(!is_compressed(&got), "it is empty");
    assert_eq!(log.report().outcome, Outcome::DeadlineExceeded);

    let log = Log::default();
    let stack = ServiceBuilder::new().layer(layer(&log));
    let stack = stack.layer(CompressionLayer::new());
    let got = exchange(stack.service(text(AT_ONCE))).await;
    assert_eq!(got.head.status, StatusCode::OK, "it has gone");
    assert_eq!((got.ended_after, got.is_whole), (LIMIT, true));
    assert_eq!(log.report().outcome, Outcome::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_required_task_fails_the_response_in_both_orders() {
    let handler = || {
        service_fn(async |_: Request<Incoming>| {
            named("order").required().spawn(async {
                tokio::time::sleep(LIMIT).await;
                Err::<(), _>("no stock")
            });
            Ok::<_, Infallible>(full(TEXT))
        })
    };
    let (log, stack) = (Log::default(), ServiceBuilder::new());
    let stack = stack.layer(CompressionLayer::new()).layer(observed(&log));
    let outside = exchange(stack.service(handler())).await;
    let stack = ServiceBuilder::new().layer(observed(&log));
    let stack = stack.layer(CompressionLayer::new());
    let inside = exchange(stack.service(handler())).await;
    for (ours, got) in [("inside", outside), ("outside", inside)] {
        assert_eq!(got.head.status, StatusCode::INTERNAL_SERVER_ERROR, "{ours}");
        assert_eq!((got.head_after, got.is_whole), (LIMIT, true), "{ours}");
        assert!(!is_compressed(&got), "it is empty: {ours}");
    }
    let failed = log.reports().into_iter().filter(|r| r.required_failed);
    assert_eq!(failed.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_compressed_stream_is_held_in_both_orders() {
    let (log, stack) = (Log::default(), ServiceBuilder::new());
    let stack = stack.layer(CompressionLayer::new()).layer(observed(&log));
    let outside = exchange(stack.service(stream())).await;
    let stack = ServiceBuilder::new().layer(observed(&log));
    let stack = stack.layer(CompressionLayer::new());
    let inside = exchange(stack.service(stream())).await;
    for (ours, got) in [("inside", outside), ("outside", inside)] {
        assert!(is_compressed(&got), "{ours}: {got:?}");
        assert_eq!(got.head_after, AT_ONCE, "{ours}");
        assert_eq!(got.data_after, Some(AT_ONCE), "its data streams: {ours}");
        assert_eq!((got.ended_after, got.is_whole), (WORK, true), "{ours}");
    }
    let held = log.reports().into_iter().map(|report| report.held);
    assert_eq!(held.collect::<Vec<_>>(), [WORK, WORK]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_compressed_has_its_head_held_in_both_orders() {
    let handler = || {
        service_fn(async |_: Request<Incoming>| {
            leave_work_behind();
            Ok::<_, Infallible>(full("too short"))
        })
    };
    let stack = ServiceBuilder::new().layer(CompressionLayer::new());
    let stack = stack.layer(observed(&Log::default()));
    let outside = exchange(stack.service(handler())).await;
    let stack = ServiceBuilder::new().layer(observed(&Log::default()));
    let stack = stack.layer(CompressionLayer::new());
    let inside = exchange(stack.service(handler())).await;
    for (ours, got) in [("inside", outside), ("outside", inside)] {
        assert_eq!(
            (got.head_after, &*got.body),
            (WORK, &b"too short"[..]),
            "{ours}"
        );
        assert_eq!(got.head.headers[CONTENT_LENGTH], "9", "{ours}");
    }
}
