//! What a client of the shop receives, and when. The connection is in memory, and time is paused.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};
use tower_task_tracker::{DrainReport, Outcome, TaskTrackerLayer};
use warp_example::{AUDIT, serve};

const AT_ONCE: Duration = Duration::ZERO;
/// More virtual time than any test takes.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// A response, the times at which its parts came, and the report.
#[derive(Debug)]
struct Got {
    status: StatusCode,
    head_after: Duration,
    text: String,
    text_after: Duration,
    ended_after: Duration,
    report: Option<DrainReport>,
}

async fn got(method: &str, path: &str) -> Got {
    let report = Arc::new(Mutex::new(None));
    let reported = report.clone();
    let tracker = TaskTrackerLayer::new().on_drain(move |report| {
        *reported.lock().expect("no panic holds this lock") = Some(report.clone());
    });
    let (here, there) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move { serve(there, &tracker).await });
    let shaken = http1::handshake(TokioIo::new(here)).await;
    let (mut sender, connection) = shaken.expect("it is served");
    tokio::spawn(connection);

    let request = Request::builder().method(method).uri(path);
    let request = request.header("host", "shop").body(Empty::<Bytes>::new());
    let start = Instant::now();
    let response = sender.send_request(request.expect("a request"));
    let response = timeout(FOR_EVER, response).await.expect("a head");
    let (head, mut body) = response.expect("no reset").into_parts();
    let mut got = Got {
        status: head.status,
        head_after: start.elapsed(),
        text: String::new(),
        text_after: AT_ONCE,
        ended_after: AT_ONCE,
        report: None,
    };
    while let Some(frame) = timeout(FOR_EVER, body.frame()).await.expect("a frame") {
        let data = frame.expect("it is whole").into_data().expect("data");
        got.text += std::str::from_utf8(&data).expect("text");
        got.text_after = start.elapsed();
    }
    got.ended_after = start.elapsed();
    got.report = report.lock().expect("no panic holds this lock").take();
    got
}

#[track_caller]
fn assert_drained(got: &Got) {
    let report = got.report.as_ref().expect("a report");
    assert_eq!((report.outcome, report.completed), (Outcome::Drained, 1));
}

#[tokio::test(start_paused = true)]
async fn an_order_is_answered_when_its_audit_entry_is_there() {
    let got = got("POST", "/orders/tea").await;
    assert_eq!((got.status, got.head_after), (StatusCode::OK, AUDIT));
    assert_eq!(got.text, "tea is on its way\n");
    assert_drained(&got);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_held_like_any_answer() {
    let got = got("POST", "/orders/ink").await;
    assert_eq!((got.status, got.head_after), (StatusCode::NOT_FOUND, AUDIT));
    assert_drained(&got);
}

#[tokio::test(start_paused = true)]
async fn a_stream_passes_at_once_and_its_end_is_held() {
    let got = got("GET", "/items").await;
    assert_eq!((got.status, got.head_after), (StatusCode::OK, AT_ONCE));
    assert_eq!((&got.text[..], got.text_after), ("tea\nhoney\n", AT_ONCE));
    assert_eq!(got.ended_after, AUDIT);
    assert_drained(&got);
}
