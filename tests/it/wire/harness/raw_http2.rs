//! An HTTP/2 client that writes its frames by hand, so that it can leave in every possible way.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::wire::harness::leaving::Io;

const DATA: u8 = 0;

const HEADERS: u8 = 1;

const RST_STREAM: u8 = 3;

const SETTINGS: u8 = 4;

const PING: u8 = 6;

const GOAWAY: u8 = 7;

const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;

const END_HEADERS: u8 = 4;

pub(crate) struct RawHttp2 {
    pub(crate) io: Box<dyn Io>,
}

impl RawHttp2 {
    /// The client's end of a connection, where each response may have this many bytes on their way.
    pub(crate) async fn over(io: Box<dyn Io>, window: u32) -> Self {
        let mut client = Self { io };
        client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        // The initial window size.
        let setting = [&[0, 4], window.to_be_bytes().as_slice()].concat();
        client.send(SETTINGS, 0, 0, &setting).await;
        client
    }

    pub(crate) async fn get(&mut self, stream: u32, path: &str) {
        // `GET` and `http` stand in HPACK's table; the path and the authority are spelled out.
        let mut fields = vec![0x82, 0x86];
        for (name, value) in [(4, path), (1, "here")] {
            let len = u8::try_from(value.len()).expect("a short value");
            fields.extend([name, len]);
            fields.extend(value.bytes());
        }
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &fields)
            .await;
    }

    pub(crate) async fn reset(&mut self, stream: u32) {
        let cancel = 8_u32.to_be_bytes();
        self.send(RST_STREAM, 0, stream, &cancel).await;
    }

    /// Says that this connection is not to be used any more.
    pub(crate) async fn go_away(&mut self) {
        self.send(GOAWAY, 0, 0, &[0; 8]).await;
    }

    /// Waits for frames: a line for each, with the number of its stream; ` END` stands on the one
    /// that ends its stream.
    pub(crate) async fn expect(&mut self, wanted: &str) {
        let mut arrived = String::new();
        while arrived.len() < wanted.len() {
            arrived += &self.frame().await;
        }
        assert_eq!(arrived, wanted);
    }

    /// This end of the connection, to leave it.
    pub(crate) fn into_io(self) -> Box<dyn Io> {
        self.io
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let len = u8::try_from(payload.len()).expect("a short payload");
        let mut frame = vec![0, 0, len, kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.write(&frame).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let written = self.io.write_all(bytes).await;
        written.expect("the server reads");
    }

    /// The next frame, as a line; the empty string for one that is about the connection.
    pub(crate) async fn frame(&mut self) -> String {
        let mut head = [0; 9];
        if self.io.read_exact(&mut head).await.is_err() {
            return "closed\n".into();
        }
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        let read = self.io.read_exact(&mut payload).await;
        read.expect("a frame comes whole");
        let stream = u32::from_be_bytes(stream);
        let text = match kind {
            DATA => format!("data {}", String::from_utf8_lossy(&payload)),
            HEADERS => "head".into(),
            RST_STREAM => "reset".into(),
            GOAWAY => "goaway".into(),
            SETTINGS | PING | WINDOW_UPDATE => return String::new(),
            other => panic!("a frame of kind {other}"),
        };
        let is_end = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        let end = if is_end { " END" } else { "" };
        format!("{stream} {text}{end}\n")
    }
}
