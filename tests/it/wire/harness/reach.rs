//! Brings a request to the stage at which its client leaves.

use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

use crate::wire::harness::leaving::{Io, Way};
use crate::wire::harness::raw_http2::RawHttp2;
use crate::wire::harness::scene::{Scene, Stage};
use crate::wire::harness::serve::{serve_http1, serve_http2};
use crate::wire::harness::socket::expect;

pub(crate) const REQUEST: &str = "GET / HTTP/1.1\r\nhost: here\r\n\r\n";

/// Large enough that a server never waits for its client.
pub(crate) const ROOMY: u32 = 64 * 1024;

impl Stage {
    /// What arrives over HTTP/1 while the task is alive, and what comes once it has ended.
    pub(crate) fn http1(self) -> [&'static str; 2] {
        let chunked = "HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n3\none\n";
        match self {
            Self::Handling => ["", ""],
            Self::HeadHeld => ["", "HTTP/1.1 200 OK\ncontent-length: 5\n\nwhole"],
            Self::Streaming => [chunked, ""],
            Self::EndHeld => [chunked, "0\n\n"],
            Self::DataHeld => ["HTTP/1.1 200 OK\ncontent-length: 6\n\none", "two"],
        }
    }

    /// The same over HTTP/2.
    pub(crate) fn http2(self) -> [&'static str; 2] {
        let one = "1 head\n1 data one\n";
        match self {
            Self::Handling => ["", ""],
            Self::HeadHeld => ["", "1 head\n1 data whole END\n"],
            Self::Streaming => [one, ""],
            Self::EndHeld => [one, "1 data  END\n"],
            Self::DataHeld => [one, "1 data two\n1 data  END\n"],
        }
    }
}

pub(crate) async fn send(client: &mut Box<dyn Io>, text: &str) {
    let sent = client.write_all(text.as_bytes()).await;
    sent.expect("the server is there");
}

/// Sends a request, and waits until it has come to its stage.
pub(crate) async fn reach(stage: Stage, scene: &Scene, client: &mut Box<dyn Io>) {
    send(client, REQUEST).await;
    scene.gate.reached().await;
    let [first, _] = stage.http1();
    expect(client, first).await;
    scene.assert_goes_on();
}

/// A client whose request has come to its stage, and its server.
pub(crate) async fn reach_http1(
    stage: Stage,
    scene: &Scene,
    way: Way,
) -> (Box<dyn Io>, JoinHandle<()>) {
    let (mut client, server) = way.connect().await;
    let server = tokio::spawn(serve_http1(server, scene.service(stage)));
    reach(stage, scene, &mut client).await;
    (client, server)
}

/// A client with so large a window, whose request has started its task.
pub(crate) async fn start_http2(stage: Stage, scene: &Scene, way: Way, window: u32) -> RawHttp2 {
    let (client, server) = way.connect().await;
    tokio::spawn(serve_http2(server, scene.service(stage)));
    let mut client = RawHttp2::over(client, window).await;
    client.get(1, "/").await;
    scene.gate.reached().await;
    client
}

/// A client whose first stream has come to its stage.
pub(crate) async fn reach_http2(stage: Stage, scene: &Scene, way: Way) -> RawHttp2 {
    let mut client = start_http2(stage, scene, way, ROOMY).await;
    let [first, _] = stage.http2();
    client.expect(first).await;
    scene.assert_goes_on();
    client
}
