//! The client, which places orders and reads the answers to their last byte.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::order::Order;
use super::{BoxError, Protocol};

/// The number of orders that share an HTTP/2 connection.
const STREAMS: usize = 16;

/// A connection, or its share of one, for one order.
pub(super) enum Client {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Client {
    /// Connects for this many orders.
    pub(super) async fn connect(
        protocol: Protocol,
        address: SocketAddr,
        orders: usize,
    ) -> Result<Vec<Self>, BoxError> {
        let mut clients = Vec::with_capacity(orders);
        while clients.len() < orders {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let io = TokioIo::new(stream);
            match protocol {
                Protocol::Http1 => {
                    let (sender, connection) = http1::handshake(io).await?;
                    // The order on this connection returns the connection's errors.
                    tokio::spawn(connection);
                    clients.push(Self::Http1(sender));
                }
                Protocol::Http2 => {
                    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                    tokio::spawn(connection);
                    let streams = STREAMS.min(orders - clients.len());
                    clients.extend((0..streams).map(|_| Self::Http2(sender.clone())));
                }
            }
        }
        Ok(clients)
    }

    /// Places an order and returns the time until the last byte of its answer. If this returns `Ok`, the order is
    /// acknowledged.
    pub(super) async fn place(mut self, order: Order) -> Result<Duration, BoxError> {
        let request = Request::post(format!("http://localhost{}", order.path()));
        let request = request.body(Empty::new())?;
        let start = Instant::now();
        let response = match &mut self {
            Self::Http1(sender) => sender.send_request(request).await?,
            Self::Http2(sender) => sender.send_request(request).await?,
        };
        let status = response.status();
        let receipt = response.into_body().collect().await?.to_bytes();
        let latency = start.elapsed();
        if status != StatusCode::CREATED || receipt != order.receipt().concat() {
            return Err(format!("{order:?} was answered {status}: {receipt:?}").into());
        }
        Ok(latency)
    }
}
