//! Responses whose body is fed by a task of their own request. Whether or not the body is polled, nothing stalls.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tower::{Layer, service_fn};
use tower_task_tracker::{Hold, Outcome, TaskTrackerLayer};

use super::harness::frames::{Client, split_ends};
use super::harness::pipe::Pipe;
use super::harness::serve::HttpService;
use crate::support::Log;

const FRAMES: usize = 5;

const FRAME: &str = "12345";

const LENGTH: u64 = 25;

/// The reading end of a channel that has room for one frame.
#[derive(Debug)]
struct Fed {
    frames: mpsc::Receiver<&'static str>,
    left: Option<u64>,
}

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.frames.poll_recv(cx).map(|frame| {
            let frame = frame?;
            self.left = self.left.map(|left| left - frame.len() as u64);
            Some(Ok(Frame::data(frame.into())))
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A handler whose only task feeds the body, and ends early if the body is dropped.
fn fed(layer: &TaskTrackerLayer, status: u16, size: Option<u64>) -> impl HttpService + use<> {
    layer.layer(service_fn(move |_: Request<Incoming>| {
        let (sender, frames) = mpsc::channel(1);
        tower_task_tracker::spawn(async move {
            for _ in 0..FRAMES {
                if sender.send(FRAME).await.is_err() {
                    break;
                }
            }
        });
        let body = Fed { frames, left: size };
        let response = Response::builder().status(status).body(body);
        async { Ok::<_, Infallible>(response.expect("a sound response")) }
    }))
}

/// All that arrives while the test does nothing.
async fn answer(http2: bool, method: &str, status: u16, hold: Hold, size: Option<u64>) -> String {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().hold(hold).observer(log.clone());
    let service = fed(&layer, status, size);
    let arrived = if http2 {
        let mut client = Client::connect(service).await;
        split_ends(&client.request(method).until_idle().await)
    } else {
        let mut pipe = Pipe::open(service);
        pipe.send(format!("{method} / HTTP/1.1\r\nhost: here\r\n\r\n"))
            .await;
        pipe.until_idle().await
    };
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report}");
    assert_eq!((report.spawned, report.completed), (1, 1), "{report}");
    arrived
}

const HELD: [Hold; 3] = [Hold::Auto, Hold::Head, Hold::End];

#[tokio::test(start_paused = true)]
async fn http1_head_of_a_stream_that_a_tracked_task_feeds_does_not_stall() {
    for hold in HELD {
        let unknown = answer(false, "HEAD", 200, hold, None).await;
        assert_eq!(unknown, "HTTP/1.1 200 OK\n\n", "{hold:?}");
        let exact = answer(false, "HEAD", 200, hold, Some(LENGTH)).await;
        let head = "HTTP/1.1 200 OK\ncontent-length: 25\n\n";
        assert_eq!(exact, head, "{hold:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn http1_204_and_304_over_a_stream_that_a_tracked_task_feeds_do_not_stall() {
    for hold in HELD {
        for size in [None, Some(LENGTH)] {
            let empty = answer(false, "GET", 204, hold, size).await;
            assert_eq!(empty, "HTTP/1.1 204 No Content\n\n", "{hold:?}, {size:?}");
            let same = answer(false, "GET", 304, hold, size).await;
            assert_eq!(same, "HTTP/1.1 304 Not Modified\n\n", "{hold:?}, {size:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn http1_a_stream_that_a_tracked_task_feeds_comes_whole() {
    for hold in [Hold::Auto, Hold::End] {
        let unknown = answer(false, "GET", 200, hold, None).await;
        let chunks = format!("5\n{FRAME}\n").repeat(FRAMES);
        let head = "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n";
        assert_eq!(unknown, format!("{head}{chunks}0\n\n"), "{hold:?}");
        let exact = answer(false, "GET", 200, hold, Some(LENGTH)).await;
        let head = "HTTP/1.1 200 OK\ncontent-length: 25\n\n";
        assert_eq!(exact, head.to_owned() + &FRAME.repeat(FRAMES), "{hold:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn http2_head_204_and_304_over_a_stream_that_a_tracked_task_feeds_do_not_stall() {
    for hold in HELD {
        let unknown = answer(true, "HEAD", 200, hold, None).await;
        assert_eq!(unknown, "head 200\nend\n", "{hold:?}");
        let exact = answer(true, "HEAD", 200, hold, Some(LENGTH)).await;
        assert_eq!(exact, "head 200 content-length=25\nend\n", "{hold:?}");
        for status in [204, 304] {
            let none = answer(true, "GET", status, hold, None).await;
            assert_eq!(none, format!("head {status}\nend\n"), "{hold:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn http2_a_stream_that_a_tracked_task_feeds_comes_whole() {
    for hold in [Hold::Auto, Hold::End] {
        let data = format!("data {FRAME}\n").repeat(FRAMES);
        let unknown = answer(true, "GET", 200, hold, None).await;
        assert_eq!(unknown, format!("head 200\n{data}end\n"), "{hold:?}");
        let exact = answer(true, "GET", 200, hold, Some(LENGTH)).await;
        let head = "head 200 content-length=25\n";
        assert_eq!(exact, format!("{head}{data}end\n"), "{hold:?}");
    }
}
