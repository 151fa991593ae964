//! The fields of a handler's head that a failure keeps.
//!
//! Any field may describe the success that did not happen: its body, its place, its caching, its signature, or what a
//! front end does with it. Proxies and CDNs have names of their own for such fields, and add new ones. So this is a
//! list of the fields that stay. All others are removed.

use http::header::{self, HeaderMap, HeaderName};

/// Fields that are true for any answer to this request.
static FIELDS: [HeaderName; 50] = [
    // The connection and the server, which are the same for every answer.
    header::ALT_SVC,
    header::CONNECTION,
    header::DATE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::SERVER,
    header::UPGRADE,
    header::VIA,
    // The client's session: the handler has already renewed or ended it on the server.
    HeaderName::from_static("clear-site-data"),
    header::SET_COOKIE,
    // The policy of the origin: a browser applies it to errors too, and stores it. Without the fields of CORS and its
    // relatives, a script cannot even read the status.
    HeaderName::from_static("accept-ch"),
    HeaderName::from_static("critical-ch"),
    HeaderName::from_static("document-policy"),
    HeaderName::from_static("expect-ct"),
    HeaderName::from_static("feature-policy"),
    HeaderName::from_static("integrity-policy"),
    HeaderName::from_static("integrity-policy-report-only"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("origin-agent-cluster"),
    header::REFERRER_POLICY,
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
    header::STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("timing-allow-origin"),
    header::VARY,
    header::X_CONTENT_TYPE_OPTIONS,
    header::X_DNS_PREFETCH_CONTROL,
    HeaderName::from_static("x-download-options"),
    header::X_FRAME_OPTIONS,
    HeaderName::from_static("x-permitted-cross-domain-policies"),
    header::X_XSS_PROTECTION,
    // Identifiers that find the request in logs and traces. A failed request needs them most.
    HeaderName::from_static("apigw-requestid"),
    HeaderName::from_static("b3"),
    HeaderName::from_static("baggage"),
    HeaderName::from_static("cf-ray"),
    HeaderName::from_static("correlation-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("server-timing"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("traceresponse"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("uber-trace-id"),
    HeaderName::from_static("x-amz-cf-id"),
    HeaderName::from_static("x-amz-request-id"),
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("x-amzn-trace-id"),
    HeaderName::from_static("x-cloud-trace-context"),
    HeaderName::from_static("x-correlation-id"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-trace-id"),
];

/// The prefixes of more fields of this kind.
const FAMILIES: [&str; 9] = [
    // CORS.
    "access-control-",
    // The policy of the origin.
    "content-security-policy",
    "cross-origin-",
    "permissions-policy",
    // The request counts against a rate limit, whatever its outcome is.
    "ratelimit",
    "x-rate-limit-",
    "x-ratelimit-",
    // Traces.
    "x-b3-",
    "x-datadog-",
];

/// Removes every field that may describe the answer that is replaced.
pub(super) fn keep(headers: &mut HeaderMap) {
    let names = headers.keys();
    let gone: Vec<_> = names.filter(|name| !is_kept(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

fn is_kept(name: &HeaderName) -> bool {
    FIELDS.contains(name)
        || FAMILIES
            .iter()
            .any(|family| name.as_str().starts_with(family))
}
