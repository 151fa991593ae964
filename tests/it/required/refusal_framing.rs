//! What a failed head does on a real connection.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tower::{Layer, service_fn};
use tower_task_tracker::{Hold, TaskTrackerLayer};

use crate::support::full;
use crate::support::refusals::fails;

fn failing(
    layer: &TaskTrackerLayer,
    status: u16,
    headers: &'static [(HeaderName, &'static str)],
) -> impl tower::Service<
    Request<Incoming>,
    Response = Response<tower_task_tracker::ResponseBody<Full<Bytes>>>,
    Error = Infallible,
    Future: Send + 'static,
>
+ Clone
+ Send
+ 'static
+ use<> {
    answering(layer, fails, status, headers)
}

pub(crate) fn answering(
    layer: &TaskTrackerLayer,
    start: fn(),
    status: u16,
    headers: &'static [(HeaderName, &'static str)],
) -> impl tower::Service<
    Request<Incoming>,
    Response = Response<tower_task_tracker::ResponseBody<Full<Bytes>>>,
    Error = Infallible,
    Future: Send + 'static,
>
+ Clone
+ Send
+ 'static
+ use<> {
    layer.layer(service_fn(move |_: Request<Incoming>| async move {
        start();
        let mut answer = full("done");
        *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            answer.headers_mut().append(name, value);
        }
        Ok::<_, Infallible>(answer)
    }))
}

pub(crate) async fn http1(
    service: impl tower::Service<
        Request<Incoming>,
        Response = Response<tower_task_tracker::ResponseBody<Full<Bytes>>>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static,
    method: &str,
) -> String {
    let (mut client, server) = tokio::io::duplex(4096);
    let connection = hyper::server::conn::http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(server), TowerToHyperService::new(service));
    tokio::spawn(connection);
    let last = "connection: close\r\n";
    let text = format!(
        "{method} / HTTP/1.1\r\nhost: a\r\n\r\n{method} / HTTP/1.1\r\nhost: a\r\n{last}\r\n"
    );
    client.write_all(text.as_bytes()).await.expect("written");
    let mut answer = String::new();
    let read = timeout(Duration::from_secs(100), client.read_to_string(&mut answer)).await;
    assert!(read.is_ok(), "{method}: it hangs after {answer:?}");
    answer
}

/// The two heads, which are the whole answer: no body follows.
#[track_caller]
pub(crate) fn two_heads(answer: &str) -> [&str; 2] {
    let mut rest = answer;
    let heads = [(); 2].map(|()| {
        let (head, after) = rest.split_once("\r\n\r\n").expect("a head");
        rest = if head.contains("\r\ntransfer-encoding: chunked") {
            after.strip_prefix("0\r\n\r\n").expect("the last chunk")
        } else {
            after
        };
        head
    });
    assert_eq!(rest, "", "{answer}");
    heads
}

#[tokio::test(start_paused = true)]
async fn a_failed_head_keeps_the_framing_of_http1() {
    for hold in [Hold::Auto, Hold::Head] {
        for method in ["GET", "HEAD", "POST"] {
            for status in [200, 204, 206, 304, 404] {
                for headers in [
                    &[][..],
                    &[(CONTENT_LENGTH, "4")],
                    &[(TRANSFER_ENCODING, "chunked"), (TRAILER, "x-sum")],
                ] {
                    let layer = TaskTrackerLayer::new().hold(hold);
                    let answer = http1(failing(&layer, status, headers), method).await;
                    let which = format!("{hold:?} {method} {status} {headers:?}: {answer}");
                    for head in two_heads(&answer) {
                        assert!(head.starts_with("HTTP/1.1 500"), "{which}");
                        assert!(!head.contains("\r\ntransfer-encoding:"), "{which}");
                        assert!(!head.contains("\r\ntrailer:"), "{which}");
                        let length = head.contains("\r\ncontent-length: 0");
                        assert_eq!(length, method != "HEAD", "{which}");
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_grpc_head_keeps_the_framing_of_http1_too() {
    for headers in [
        &[(http::header::CONTENT_TYPE, "application/grpc")][..],
        &[
            (http::header::CONTENT_TYPE, "application/grpc"),
            (CONTENT_LENGTH, "4"),
        ],
        &[
            (http::header::CONTENT_TYPE, "application/grpc"),
            (TRANSFER_ENCODING, "chunked"),
            (TRAILER, "grpc-status"),
        ],
    ] {
        let answer = http1(failing(&TaskTrackerLayer::new(), 200, headers), "POST").await;
        for head in two_heads(&answer) {
            assert!(head.starts_with("HTTP/1.1 200"), "{headers:?}: {answer}");
            assert!(head.contains("\r\ngrpc-status: 13"), "{answer}");
            let is_chunked = head.contains("\r\ntransfer-encoding: chunked");
            let is_empty = head.contains("\r\ncontent-length: 0");
            assert!(is_chunked != is_empty, "{headers:?}: {answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_head_ends_its_http2_stream() {
    for hold in [Hold::Auto, Hold::Head] {
        for method in [Method::GET, Method::HEAD] {
            for status in [200, 204, 304] {
                let layer = TaskTrackerLayer::new().hold(hold);
                let service = failing(&layer, status, &[(CONTENT_LENGTH, "4")]);
                let (client, server) = tokio::io::duplex(4096);
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(server), TowerToHyperService::new(service));
                tokio::spawn(connection);
                let (mut send, connection) = h2::client::handshake(client).await.expect("h2");
                tokio::spawn(connection);
                let request = Request::builder().method(method.clone()).uri("http://a/");
                let request = request.body(()).expect("a request");
                let (answer, _) = send.send_request(request, true).expect("sent");
                let answer = answer.await.expect("a head");
                let which = format!("{hold:?} {method} {status}");
                assert_eq!(answer.status(), 500, "{which}");
                assert!(answer.body().is_end_stream(), "{which}");
                assert!(!answer.headers().contains_key(CONTENT_LENGTH), "{which}");
            }
        }
    }
}
