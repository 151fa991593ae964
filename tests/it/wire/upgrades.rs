//! Exchanges that go on as an upgraded stream: nothing is held, and nothing hangs.

use std::convert::Infallible;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::routing::any;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tower::{Layer, service_fn};
use tower_task_tracker::{Outcome, TaskState, TaskTrackerLayer, Tasks};

use super::harness::clock::soon;
use super::harness::frames::Client;
use super::harness::gate::Gate;
use super::harness::pipe::Pipe;
use super::harness::serve::HttpService;
use crate::support::Log;

/// Spawns a task, and goes on as a stream that sends everything back twice.
fn echo(status: StatusCode, gate: Option<Gate>) -> impl HttpService + use<> {
    service_fn(move |mut request: Request<Incoming>| {
        let tasks = Tasks::current();
        if let (Some(gate), Some(tasks)) = (&gate, &tasks) {
            tasks.named("before").spawn(gate.task());
        }
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let Ok(upgraded) = upgrade.await else { return };
            if let Some(tasks) = &tasks {
                tasks.named("after").spawn(async {});
            }
            let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
            drop(tokio::io::copy(&mut read, &mut write).await);
        });
        let mut response = Response::builder().status(status);
        let mut body = Full::default();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            response = response
                .header("connection", "upgrade")
                .header("upgrade", "echo");
        } else if !status.is_success() {
            body = Full::<Bytes>::from("no");
        }
        let response = response.body(body).expect("a sound response");
        async { Ok::<_, Infallible>(response) }
    })
}

fn layer(log: &Log) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .drain_timeout(None)
        .observer(log.clone())
}

/// The request has ended as an upgraded stream; its task goes on until the gate opens.
async fn assert_upgraded(layer: &TaskTrackerLayer, log: &Log, gate: &Gate) {
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Upgraded, "{report}");
    assert_eq!(report.stragglers.len(), 1, "{report}");
    let late = log.late_spawns();
    assert!(late.is_empty(), "what the stream spawns is not late");
    assert_eq!(layer.handle().live_tasks(), 1, "the handle has the task");

    gate.open();
    soon(layer.handle().wait_idle()).await;
    let ends = log.late_ends();
    let ends: Vec<_> = ends
        .iter()
        .map(|task| (task.name.as_deref(), task.state))
        .collect();
    let completed = |name| (Some(name), TaskState::Completed);
    assert!(ends.contains(&completed("before")), "{ends:?}");
    assert_eq!(log.report().outcome, Outcome::Upgraded, "one report");
}

/// The head comes at once, and the stream echoes, while the task is alive.
async fn check_http1(status: StatusCode, request: &str, head: &str) {
    let mut bare = Pipe::open(echo(status, None));
    bare.send(request).await;
    assert_eq!(bare.until_idle().await, head, "the bare service");

    let (log, gate) = (Log::default(), Gate::default());
    let layer = layer(&log);
    let mut pipe = Pipe::open(layer.layer(echo(status, Some(gate.clone()))));
    pipe.send(request).await;
    assert_eq!(pipe.until_idle().await, head, "it is not held");
    for said in ["ping", "pong"] {
        pipe.send(said).await;
        assert_eq!(pipe.until_idle().await, said, "the stream is open");
    }
    assert_upgraded(&layer, &log, &gate).await;
    pipe.send("on").await;
    assert_eq!(pipe.until_idle().await, "on", "the stream is still open");
}

#[tokio::test(start_paused = true)]
async fn http1_101_is_not_held_and_the_upgraded_stream_goes_on() {
    check_http1(
        StatusCode::SWITCHING_PROTOCOLS,
        "GET / HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\nconnection: upgrade\nupgrade: echo\n\n",
    )
    .await;
}

const CONNECT: &str = "CONNECT here:80 HTTP/1.1\r\nhost: here:80\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn http1_connect_2xx_is_not_held_and_the_tunnel_goes_on() {
    check_http1(StatusCode::OK, CONNECT, "HTTP/1.1 200 OK\n\n").await;
}

#[tokio::test(start_paused = true)]
async fn http1_connect_that_is_refused_is_held_like_any_response() {
    let (log, gate) = (Log::default(), Gate::default());
    let service = layer(&log).layer(echo(StatusCode::FORBIDDEN, Some(gate.clone())));
    let mut pipe = Pipe::open(service);
    pipe.send(CONNECT).await;
    assert_eq!(pipe.until_idle().await, "", "the task is alive");
    gate.open();
    let refused = "HTTP/1.1 403 Forbidden\ncontent-length: 2\n\nno";
    assert_eq!(pipe.until_idle().await, refused);
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn http2_connect_2xx_is_not_held_and_the_tunnel_goes_on() {
    let (log, gate) = (Log::default(), Gate::default());
    let layer = layer(&log);
    let service = layer.layer(echo(StatusCode::OK, Some(gate.clone())));
    let mut client = Client::connect(service).await;
    let request = Request::builder().method(Method::CONNECT).uri("here:80");
    let (response, mut tunnel) = client.open(request.body(()).expect("sound"), false);
    let response = soon(response).await.expect("it is answered");
    assert_eq!(response.status(), StatusCode::OK);

    let mut echoed = response.into_body();
    for said in ["ping", "pong"] {
        let sent = tunnel.send_data(Bytes::from_static(said.as_bytes()), false);
        sent.expect("the tunnel takes it");
        let heard = soon(echoed.data()).await;
        let heard = heard.expect("it has not ended").expect("nor failed");
        assert_eq!(heard, said);
    }
    assert_upgraded(&layer, &log, &gate).await;
}

#[tokio::test(start_paused = true)]
async fn http1_a_websocket_through_axum_is_not_held() {
    let (log, gate) = (Log::default(), Gate::default());
    let layer = layer(&log);
    let task = gate.clone();
    let router = Router::new().route(
        "/",
        any(async move |tasks: Tasks, upgrade: WebSocketUpgrade| {
            tasks.named("before").spawn(task.task());
            upgrade.on_upgrade(async |mut socket| {
                while let Some(Ok(message)) = socket.recv().await {
                    if socket.send(message).await.is_err() {
                        break;
                    }
                }
            })
        }),
    );
    let mut pipe = Pipe::open(router.layer(layer.clone()));
    pipe.send(
        "GET / HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    .await;
    let head = pipe.until_idle().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "it is not held: {head}");
    // The answer to the key above, from RFC 6455, section 1.3.
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");

    // A text frame of two bytes, masked with zeros as a client must; the answer is not masked.
    pipe.send(b"\x81\x82\0\0\0\0hi").await;
    let heard = pipe.bytes_until_idle(64).await;
    assert_eq!(heard, b"\x81\x02hi", "the socket is open");
    assert_upgraded(&layer, &log, &gate).await;
}
