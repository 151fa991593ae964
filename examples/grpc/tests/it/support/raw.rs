//! A call over plain HTTP/2, without tonic's client and its timeouts.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use grpc_example::Receipt;
use http::{HeaderMap, Request, response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpStream;

use super::order;

/// An answer whose head has come.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) head: response::Parts,
    body: Incoming,
}

/// A part of the answer after the head.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    /// The messages of one frame.
    Messages(Vec<String>),
    Trailers(HeaderMap),
    /// The stream has ended without trailers.
    End,
    /// The stream was reset.
    Reset(String),
}

/// Calls a method with [`order`], and waits for the head. The given headers replace the headers of the same name.
pub(crate) async fn call(
    address: SocketAddr,
    method: &str,
    headers: &[(&'static str, &str)],
) -> RawAnswer {
    let stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("an option of TCP");
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    let request = Request::post(format!("http://{address}/orders.Orders/{method}"));
    let body = Full::new(framed(&order().encode_to_vec()));
    let mut request = request.body(body).expect("its parts are valid");
    let own = [("te", "trailers"), ("content-type", "application/grpc")];
    for (name, value) in own.iter().chain(headers) {
        let value = value.parse().expect("the value of a header");
        request.headers_mut().insert(*name, value);
    }
    let answer = sender.send_request(request).await.expect("an answer");
    let (head, body) = answer.into_parts();
    RawAnswer { head, body }
}

impl Seen {
    /// Returns a frame with one message.
    pub(crate) fn message(text: &str) -> Self {
        Self::Messages(vec![text.to_owned()])
    }
}

impl RawAnswer {
    /// Returns the next part of the answer.
    pub(crate) async fn next(&mut self) -> Seen {
        match self.body.frame().await {
            None => Seen::End,
            Some(Err(error)) => Seen::Reset(format!("{error:?}")),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Seen::Messages(texts(data)),
                Err(frame) => Seen::Trailers(frame.into_trailers().expect("or else data")),
            },
        }
    }

    /// Returns the data of the next frame, or `None` at the end. Skips empty frames, because one may mark the end.
    pub(crate) async fn data(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            let frame = self.body.frame().await?;
            let data = frame.map(|frame| frame.into_data().expect("there are no trailers"));
            if data.as_ref().map_or(true, |data| !data.is_empty()) {
                return Some(data);
            }
        }
    }

    /// Returns the trailers. Panics if anything else comes next.
    pub(crate) async fn trailers(&mut self) -> HeaderMap {
        match self.next().await {
            Seen::Trailers(trailers) => trailers,
            seen => panic!("a call ends with trailers, and not with {seen:?}"),
        }
    }

    /// Returns everything up to the end.
    pub(crate) async fn rest(&mut self) -> Vec<Seen> {
        let mut rest = Vec::new();
        while !self.body.is_end_stream() {
            match self.next().await {
                Seen::End => break,
                seen => rest.push(seen),
            }
        }
        rest
    }
}

/// Returns the length-prefixed message of gRPC, uncompressed.
fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(message.len().try_into().expect("it is short"));
    framed.put_slice(message);
    framed.freeze()
}

/// Returns the texts of the messages in one frame. tonic puts messages that are ready at once into one frame. Steps and
/// receipts have the same format.
fn texts(mut data: Bytes) -> Vec<String> {
    let mut texts = Vec::new();
    while !data.is_empty() {
        assert_eq!(data.get_u8(), 0, "it is not compressed");
        let length = data.get_u32() as usize;
        let receipt = Receipt::decode(data.split_to(length));
        texts.push(receipt.expect("a whole message").text);
    }
    texts
}
