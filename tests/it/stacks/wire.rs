//! One exchange over a real HTTP/1 connection in memory, with the times at which its parts arrive.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, response};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::time::{Instant, timeout};
use tower::Service;

use super::FOR_EVER;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// What a client got, counted from its request.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) head: response::Parts,
    pub(super) head_after: Duration,
    pub(super) body: Vec<u8>,
    /// `None` if no data came.
    pub(super) data_after: Option<Duration>,
    pub(super) ended_after: Duration,
    /// Whether it ended as it should.
    pub(super) is_whole: bool,
}

/// Sends a request that takes gzip, and reads the response to its end.
pub(super) async fn exchange<S, B>(service: S) -> Exchange
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>,
    S: Clone + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    S::Future: 'static,
{
    let (here, there) = tokio::io::duplex(64 * 1024);
    let served = server::Builder::new()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(there), TowerToHyperService::new(service));
    // What becomes of it, the client sees.
    tokio::spawn(async { drop(served.await) });
    let shaken = client::handshake(TokioIo::new(here)).await;
    let (mut sender, connection) = shaken.expect("it is served");
    tokio::spawn(async { drop(connection.await) });

    let request = Request::get("/")
        .header("host", "here")
        .header("accept-encoding", "gzip");
    let request = request.body(Empty::<Bytes>::new()).expect("a request");
    let start = Instant::now();
    let response = timeout(FOR_EVER, sender.send_request(request)).await;
    let (head, body) = response.expect("a head").expect("no reset").into_parts();
    let mut exchange = Exchange {
        head,
        head_after: start.elapsed(),
        body: Vec::new(),
        data_after: None,
        ended_after: Duration::ZERO,
        is_whole: true,
    };
    let read = timeout(FOR_EVER, exchange.read(body, start)).await;
    read.expect("an end");
    exchange
}

impl Exchange {
    async fn read(&mut self, mut body: Incoming, start: Instant) {
        while let Some(frame) = body.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => {
                    self.data_after.get_or_insert_with(|| start.elapsed());
                    self.body.extend_from_slice(&data);
                }
                Ok(Err(_)) => {}
                Err(_) => self.is_whole = false,
            }
        }
        self.ended_after = start.elapsed();
    }
}
