//! Which header fields of the handler's answer a failed head keeps.

use std::convert::Infallible;

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::Hold;

use super::refusal_framing::{answering, http1, two_heads};
use crate::support::refusals::{KEPT, refused, refusing};
use crate::support::{full, request};

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
async fn a_refusal_keeps_no_field_about_the_success() {
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
async fn a_refusal_on_the_wire_forbids_caches_to_store_it() {
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
            let fields = [
                ("content-type", "application/grpc"),
                ("content-length", "4"),
                ("cost", "7"),
            ];
            for (name, value) in fields {
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
        assert!(!answer.headers().contains_key(CONTENT_LENGTH));
        assert!(!answer.headers().contains_key(CACHE_CONTROL));
    }
}
