//! The client's end of an HTTP/1 connection in memory. It reads until nothing more can come.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use crate::support::ms;
use crate::wire::harness::clock::soon;
use crate::wire::harness::serve::{HttpService, serve_http1};

/// Stands for the end of the connection.
pub(crate) const CLOSED: &str = "<closed>";

/// Large enough that a server never waits for its client.
const ROOMY: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) io: DuplexStream,
    pub(crate) is_closed: bool,
}

impl Pipe {
    /// A connection that this service is served on.
    pub(crate) fn open(service: impl HttpService) -> Self {
        Self::narrow(service, ROOMY)
    }

    /// The same, with room for this many bytes on their way.
    pub(crate) fn narrow(service: impl HttpService, room: usize) -> Self {
        let (io, server) = tokio::io::duplex(room);
        tokio::spawn(serve_http1(server, service));
        Self {
            io,
            is_closed: false,
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let written = soon(self.io.write_all(bytes.as_ref())).await;
        written.expect("the server takes it");
    }

    /// What arrives until nothing is left to do but to wait for the test, as text.
    pub(crate) async fn until_idle(&mut self) -> String {
        text(&self.bytes_until_idle(4096).await)
    }

    /// The same as it comes, taking so many bytes at a time.
    ///
    /// Time has to be paused: then a timer fires when, and only when, every task of the runtime is
    /// idle.
    pub(crate) async fn bytes_until_idle(&mut self, at_a_time: usize) -> Vec<u8> {
        let mut arrived = Vec::new();
        let mut bytes = vec![0; at_a_time];
        while !self.is_closed {
            let Ok(read) = timeout(ms(1), self.io.read(&mut bytes)).await else {
                break;
            };
            let len = read.expect("a pipe does not fail");
            arrived.extend_from_slice(&bytes[..len]);
            if len == 0 {
                self.is_closed = true;
                arrived.extend_from_slice(CLOSED.as_bytes());
            }
        }
        arrived
    }
}

/// Bytes as the tests write them: `\n` ends a line.
pub(crate) fn text(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).expect("the tests send text");
    let lines: Vec<_> = text.split("\r\n").collect();
    assert!(
        lines.iter().all(|line| !line.contains(['\r', '\n'])),
        "both end each line: {text:?}"
    );
    lines.join("\n")
}
