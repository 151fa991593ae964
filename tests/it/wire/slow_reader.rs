//! A client that reads one byte at a time, from a response that is larger than the buffers on the way.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tower::{Layer, service_fn};
use tower_task_tracker::{Hold, Outcome, TaskTrackerLayer};

use super::harness::frames::{Client, split_ends};
use super::harness::gate::Gate;
use super::harness::pipe::{Pipe, text};
use super::harness::serve::HttpService;
use crate::support::Log;

const FRAMES: usize = 40;

const FRAME: usize = 50;

/// Frames of numbers, each other than all before it.
#[derive(Debug)]
struct Numbers {
    next: usize,
    is_sized: bool,
}

impl Body for Numbers {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let number = self.next;
        if number == FRAMES {
            return Poll::Ready(None);
        }
        self.next += 1;
        Poll::Ready(Some(Ok(Frame::data(frame(number).into()))))
    }

    fn size_hint(&self) -> SizeHint {
        let left = ((FRAMES - self.next) * FRAME) as u64;
        if self.is_sized {
            SizeHint::with_exact(left)
        } else {
            SizeHint::default()
        }
    }
}

fn frame(number: usize) -> String {
    format!("{number:0FRAME$}")
}

fn numbers(log: &Log, gate: &Gate, is_sized: bool) -> impl HttpService + use<> {
    let layer = TaskTrackerLayer::new()
        .hold(Hold::End)
        .drain_timeout(None)
        .observer(log.clone());
    let gate = gate.clone();
    layer.layer(service_fn(move |_: Request<Incoming>| {
        tower_task_tracker::spawn(gate.task());
        let body = Numbers { next: 0, is_sized };
        async { Ok::<_, Infallible>(Response::new(body)) }
    }))
}

/// What arrives before and after the task's end.
async fn read_slowly(is_sized: bool) -> [String; 2] {
    let (log, gate) = (Log::default(), Gate::default());
    let mut pipe = Pipe::narrow(numbers(&log, &gate, is_sized), 7);
    pipe.send("GET / HTTP/1.1\r\nhost: here\r\n\r\n").await;
    let first = pipe.bytes_until_idle(1).await;
    assert!(log.all().is_empty(), "it is too early to report");
    gate.open();
    let rest = pipe.bytes_until_idle(1).await;
    assert_eq!(log.report().outcome, Outcome::Drained);
    [text(&first), text(&rest)]
}

/// The same over HTTP/2, where the client allows so few bytes on the way.
async fn read_slowly_http2(is_sized: bool) -> [String; 2] {
    let (log, gate) = (Log::default(), Gate::default());
    let mut client = Client::with_window(numbers(&log, &gate, is_sized), 7).await;
    let stream = client.request("GET");
    let data = |frames: String| {
        let lines = frames.lines().filter_map(|line| line.strip_prefix("data "));
        let text: String = lines.collect();
        (text, split_ends(&frames).ends_with("\nend\n"))
    };
    let (first, has_ended) = data(stream.until_idle().await);
    assert!(!has_ended, "the task is alive");
    assert!(log.all().is_empty(), "it is too early to report");
    gate.open();
    let (rest, has_ended) = data(format!("\n{}", stream.until_idle().await));
    assert!(has_ended, "the task has ended");
    assert_eq!(log.report().outcome, Outcome::Drained);
    [first, rest.replace(" END", "")]
}

#[tokio::test(start_paused = true)]
async fn http1_chunks_reach_a_slow_reader_in_their_order_and_the_last_chunk_after_the_task() {
    let [first, rest] = read_slowly(false).await;
    let chunks = (0..FRAMES).map(|number| format!("{FRAME:X}\n{}\n", frame(number)));
    let head = "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n";
    assert_eq!(first, head.to_owned() + &chunks.collect::<String>());
    assert_eq!(rest, "0\n\n");
}

#[tokio::test(start_paused = true)]
async fn http1_a_known_length_reaches_a_slow_reader_whole_and_its_last_data_after_the_task() {
    let [first, rest] = read_slowly(true).await;
    let data = (0..FRAMES - 1).map(frame);
    let head = format!("HTTP/1.1 200 OK\ncontent-length: {}\n\n", FRAMES * FRAME);
    assert_eq!(first, head + &data.collect::<String>());
    assert_eq!(rest, frame(FRAMES - 1));
}

#[tokio::test(start_paused = true)]
async fn http2_data_reaches_a_slow_reader_in_its_order_and_the_end_after_the_task() {
    let all: String = (0..FRAMES).map(frame).collect();
    let [first, rest] = read_slowly_http2(false).await;
    assert_eq!([first, rest], [all.clone(), String::new()]);
    let [first, rest] = read_slowly_http2(true).await;
    let (data, last) = all.split_at((FRAMES - 1) * FRAME);
    assert_eq!([first.as_str(), rest.as_str()], [data, last]);
}
