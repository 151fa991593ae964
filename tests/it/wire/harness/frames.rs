//! The client's end of an HTTP/2 connection in memory. It records each frame of a response.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request};

use crate::support::after;
use crate::wire::harness::clock::soon;
use crate::wire::harness::serve::{HttpService, serve_http2};
use crate::wire::harness::tap::{Record, Tap};

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) requests: SendRequest<Bytes>,
    pub(crate) record: Record,
}

/// One response.
#[derive(Debug)]
pub(crate) struct Stream {
    frames: Frames,
    request: SendStream<Bytes>,
}

/// A line for each frame; ` END` stands on the one that ends the stream, and `end` for a frame
/// that sends nothing else.
type Frames = Arc<Mutex<String>>;

impl Client {
    /// A connection that this service is served on.
    pub(crate) async fn connect(service: impl HttpService) -> Self {
        Self::with_window(service, 64 * 1024).await
    }

    /// The same, where each response may have this many bytes on their way.
    pub(crate) async fn with_window(service: impl HttpService, window: u32) -> Self {
        let (client, server) = tokio::io::duplex(64 * 1024);
        tokio::spawn(serve_http2(server, service));
        let record = Record::default();
        let shaken = h2::client::Builder::new()
            .initial_window_size(window)
            .handshake(Tap::new(client, record.clone()));
        let (requests, connection) = soon(shaken).await.expect("both speak HTTP/2");
        tokio::spawn(async {
            connection.await.expect("the connection does not fail");
        });
        Self { requests, record }
    }

    /// All that the server has sent, as it stood on the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.record.bytes()
    }

    pub(crate) fn request(&mut self, method: &str) -> Stream {
        self.request_to(method, "http://here/")
    }

    pub(crate) fn request_to(&mut self, method: &str, uri: &str) -> Stream {
        let request = Request::builder().method(method).uri(uri).body(());
        let request = request.expect("a sound request");
        let (response, request) = self.open(request, true);
        let frames = Frames::default();
        tokio::spawn(write_down(response, frames.clone()));
        Stream { frames, request }
    }

    pub(crate) fn open(
        &mut self,
        request: Request<()>,
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let sent = self.requests.send_request(request, ends);
        sent.expect("the connection takes the request")
    }
}

impl Stream {
    /// What has arrived since the last look, when nothing is left to do but to wait for the test.
    /// Time has to be paused: then a timer fires when, and only when, every task is idle.
    pub(crate) async fn until_idle(&self) -> String {
        after(1).await;
        self.arrived()
    }

    /// What has arrived since the last look.
    pub(crate) fn arrived(&self) -> String {
        std::mem::take(&mut *self.frames.lock().expect("no panic holds this lock"))
    }

    /// Leaves this response, and no other.
    pub(crate) fn reset(&mut self) {
        self.request.send_reset(Reason::CANCEL);
    }
}

/// Frames where each end stands on a line of its own.
pub(crate) fn split_ends(frames: &str) -> String {
    frames.replace(" END\n", "\nend\n")
}

async fn write_down(response: ResponseFuture, frames: Frames) {
    let write = |frame: String, is_end: bool| {
        let end = if is_end { " END\n" } else { "\n" };
        let mut frames = frames.lock().expect("no panic holds this lock");
        frames.push_str(&frame);
        frames.push_str(end);
    };
    match response.await {
        Ok(response) => {
            let (head, body) = response.into_parts();
            let head = format!("head {}{}", head.status.as_str(), fields(&head.headers));
            write(head, body.is_end_stream());
            if let Err(error) = write_down_body(body, &write).await {
                write(reset(&error), false);
            }
        }
        Err(error) => write(reset(&error), false),
    }
}

async fn write_down_body(
    mut body: RecvStream,
    write: &impl Fn(String, bool),
) -> Result<(), h2::Error> {
    let mut is_end = body.is_end_stream();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        is_end = body.is_end_stream();
        if is_end && data.is_empty() {
            write("end".into(), false);
        } else {
            write(format!("data {}", String::from_utf8_lossy(&data)), is_end);
        }
    }
    if let Some(trailers) = body.trailers().await? {
        is_end = true;
        write(format!("trailers{}", fields(&trailers)), true);
    }
    if !is_end {
        write("end".into(), false);
    }
    Ok(())
}

fn fields(fields: &HeaderMap) -> String {
    let field = |(name, value): (_, &http::HeaderValue)| format!(" {name}={value:?}");
    let mut fields: Vec<_> = fields.iter().map(field).collect();
    fields.sort();
    fields.concat().replace('"', "")
}

fn reset(error: &h2::Error) -> String {
    let reason = error.reason().expect("only streams fail here");
    format!("reset {}", u32::from(reason))
}
