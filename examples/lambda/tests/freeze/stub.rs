//! A stub of the runtime API on the loopback, one for each instance.
//!
//! Paths and headers are those of <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>. The stub passes
//! each call to the test, and the test decides when the call is answered.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::answer::{Answer, Kind};
use crate::event::Event;

/// A call of the instance to the runtime API.
#[derive(Debug)]
pub(crate) enum Call {
    /// The request for the next event.
    Next(NextRequest),
    /// An answer to an event.
    Answer(Answer),
}

/// A request for the next event that is not answered yet.
#[derive(Debug)]
pub(crate) struct NextRequest {
    pub(crate) at: Instant,
    event: oneshot::Sender<Event>,
}

impl NextRequest {
    pub(crate) fn hand_over(self, event: Event) {
        self.event.send(event).expect("the instance waits for it");
    }
}

#[derive(Clone)]
struct Calls(mpsc::UnboundedSender<Call>);

/// A running stub. The drop stops it.
#[derive(Debug)]
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    pub(crate) calls: mpsc::UnboundedReceiver<Call>,
    _server: JoinSet<io::Result<()>>,
}

impl Stub {
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, calls) = mpsc::unbounded_channel();
        let invocation = "/2018-06-01/runtime/invocation";
        let routes = Router::new()
            .route(&format!("{invocation}/next"), get(next))
            .route(&format!("{invocation}/{{id}}/{{kind}}"), post(answer))
            .with_state(Calls(sender));
        let mut server = JoinSet::new();
        server.spawn(async { axum::serve(listener, routes).await });
        Ok(Self {
            address,
            calls,
            _server: server,
        })
    }
}

async fn next(State(calls): State<Calls>) -> Response {
    let (event, handed) = oneshot::channel();
    let at = Instant::now();
    // If the test no longer receives calls, the call is never answered.
    let _ = calls.0.send(Call::Next(NextRequest { at, event }));
    match handed.await {
        Ok(event) => event.into_response(),
        Err(_) => std::future::pending().await,
    }
}

async fn answer(
    State(calls): State<Calls>,
    Path((id, kind)): Path<(String, String)>,
    request: Request,
) -> (StatusCode, &'static str) {
    let kind = match kind.as_str() {
        "response" => Kind::Response,
        "error" => Kind::Error,
        _ => return (StatusCode::NOT_FOUND, ""),
    };
    let mode = request
        .headers()
        .get("lambda-runtime-function-response-mode");
    let streamed = mode.is_some_and(|mode| mode == "streaming");
    let parts = read(request.into_body()).await;
    let (answer, accepted) = Answer::new(id, kind, streamed, parts);
    let _ = calls.0.send(Call::Answer(answer));
    let _ = accepted.await;
    (StatusCode::ACCEPTED, r#"{"status":"OK"}"#)
}

async fn read(mut body: Body) -> Vec<(Instant, Bytes)> {
    let mut parts = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.expect("the answer ends as it should");
        if let Ok(data) = frame.into_data() {
            parts.push((Instant::now(), data));
        }
    }
    parts
}
