//! What is written into a held head.

use std::time::Duration;

use http::StatusCode;
use http::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};
use http::response::Parts;

use super::body::REQUIRED_FAILED;
use super::grpc::{self, is_grpc};

/// Why a response is not what the handler has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// A task has failed that the response depends on.
    Required(StatusCode),
    /// The tasks were not done at the deadline.
    Deadline(StatusCode),
}

const LATE: &str = "background tasks were not done at the deadline";

/// Headers that speak of a body, of its validity or of its caching: they are not true of another one
/// (RFC 9110, sections 8 and 10.2.2; RFC 9111, section 5; RFC 9112, section 6; RFC 9530; RFC 6266).
const OF_THE_BODY: [HeaderName; 19] = [
    header::ACCEPT_RANGES,
    header::AGE,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::LOCATION,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

impl Failure {
    /// Makes a head of it that has no body after it.
    pub(super) fn write(self, parts: &mut Parts) {
        if is_grpc(&parts.headers) {
            // A call that has no messages has all it says in the head.
            parts.headers.remove(header::CONTENT_LENGTH);
            match self {
                Failure::Required(_) => {
                    grpc::write_status(&mut parts.headers, grpc::Code::Internal, REQUIRED_FAILED);
                }
                Failure::Deadline(_) => {
                    grpc::write_status(&mut parts.headers, grpc::Code::DeadlineExceeded, LATE);
                }
            }
            return;
        }
        for name in OF_THE_BODY {
            parts.headers.remove(name);
        }
        let (Failure::Required(status) | Failure::Deadline(status)) = self;
        parts.status = status;
    }
}

/// Appends for how long the head was held (Server Timing, section 3: a list, in milliseconds).
pub(super) fn write_server_timing(headers: &mut HeaderMap, held: Duration) {
    let ours = format!("drain;dur={:.1}", held.as_secs_f64() * 1000.0);
    match headers.entry(SERVER_TIMING) {
        Entry::Occupied(mut entry) => {
            let list = [entry.get().as_bytes(), b", ", ours.as_bytes()].concat();
            // Parts of header values make a header value.
            if let Ok(list) = HeaderValue::try_from(list) {
                // In its place: `insert` would take out what stands after it.
                *entry.get_mut() = list;
            }
        }
        Entry::Vacant(entry) => {
            if let Ok(ours) = HeaderValue::try_from(ours) {
                entry.insert(ours);
            }
        }
    }
}
