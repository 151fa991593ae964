//! Which fields of a refused answer a failed head keeps, and what the refusal does on a real connection.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, SET_COOKIE, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, TaskTrackerLayer};

use crate::support::refusals::{KEPT, fails, refused, refusing};
use crate::support::{full, request};

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

fn answering(
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

async fn http1(
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

/// The two heads that are all there is: what follows each of them is what it says of itself, nothing.
#[track_caller]
fn two_heads(answer: &str) -> [&str; 2] {
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

/// Some of what speaks of a success.
const OF_A_SUCCESS: [&str; 44] = [
    "accept-ranges",
    "age",
    "allow",
    "authentication-info",
    "cache-status",
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "digest",
    "edge-control",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "pragma",
    "preference-applied",
    "refresh",
    "repr-digest",
    "retry-after",
    "set-cookie2",
    "signature",
    "signature-input",
    "sourcemap",
    "surrogate-control",
    "surrogate-key",
    "trailer",
    "transfer-encoding",
    "unencoded-digest",
    "vercel-cdn-cache-control",
    "warning",
    "x-accel-buffering",
    "x-accel-expires",
    "x-accel-redirect",
    "x-sendfile",
    "x-total-count",
];

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_what_is_true_of_any_answer() {
    for (layer, start, _) in refusing() {
        let examples = [
            "access-control-allow-origin",
            "access-control-expose-headers",
            "content-security-policy",
            "content-security-policy-report-only",
            "cross-origin-opener-policy",
            "cross-origin-resource-policy",
            "permissions-policy",
            "ratelimit",
            "ratelimit-policy",
            "x-b3-traceid",
            "x-datadog-trace-id",
            "x-rate-limit-remaining",
            "x-ratelimit-remaining",
        ];
        let mut fields = HeaderMap::new();
        for name in KEPT.into_iter().chain(examples) {
            for value in ["one", "two"] {
                fields.append(name, HeaderValue::from_static(value));
            }
        }
        let mut kept = refused(&layer, start, fields.clone()).await;
        assert_eq!(
            kept.remove("cache-control"),
            Some("no-store".parse().expect("a value"))
        );
        assert_eq!(kept, fields, "each with all its values, in their order");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_nothing_that_speaks_of_the_success() {
    for (layer, start, _) in refusing() {
        let mut fields = HeaderMap::new();
        for name in OF_A_SUCCESS {
            fields.insert(name, HeaderValue::from_static("anything"));
        }
        fields.append("cache-control", HeaderValue::from_static("max-age=3600"));
        fields.append("cache-control", HeaderValue::from_static("public"));
        let left = refused(&layer, start, fields).await;
        let left: Vec<_> = left
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        assert_eq!(
            left,
            [("cache-control", &HeaderValue::from_static("no-store"))]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_on_the_wire_is_stored_by_nobody() {
    static FIELDS: [(HeaderName, &str); 8] = [
        (CACHE_CONTROL, "public, max-age=3600"),
        (HeaderName::from_static("cdn-cache-control"), "max-age=3600"),
        (HeaderName::from_static("surrogate-control"), "max-age=3600"),
        (HeaderName::from_static("x-accel-redirect"), "/protected/a"),
        (HeaderName::from_static("refresh"), "5; url=/done"),
        (SET_COOKIE, "a=1"),
        (SET_COOKIE, "b=2"),
        (HeaderName::from_static("access-control-allow-origin"), "*"),
    ];
    for (layer, start, status) in refusing() {
        let answer = http1(answering(&layer, start, 200, &FIELDS), "GET").await;
        for head in two_heads(&answer) {
            let (first, rest) = head.split_once("\r\n").expect("fields");
            assert!(first.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
            let mut lines: Vec<_> = rest
                .split("\r\n")
                .filter(|line| *line != "connection: close")
                .collect();
            lines.sort_unstable();
            assert_eq!(
                lines,
                [
                    "access-control-allow-origin: *",
                    "cache-control: no-store",
                    "content-length: 0",
                    "set-cookie: a=1",
                    "set-cookie: b=2",
                ],
                "{answer}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_grpc_head_keeps_its_metadata() {
    for (layer, start, _) in refusing() {
        let service = layer.hold(Hold::Head).layer(service_fn(|_: Request<()>| {
            start();
            let mut answer = full("done");
            for (name, value) in [("content-type", "application/grpc"), ("cost", "7")] {
                answer
                    .headers_mut()
                    .insert(name, HeaderValue::from_static(value));
            }
            std::future::ready(Ok::<_, Infallible>(answer))
        }));
        let Ok(answer) = service.oneshot(request()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["cost"], "7");
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        assert!(answer.headers().contains_key("grpc-status"));
        assert!(
            !answer.headers().contains_key(CACHE_CONTROL),
            "it is a POST"
        );
    }
}
