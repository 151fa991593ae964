//! What is written into a held head.

use std::time::Duration;

use http::StatusCode;
use http::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};
use http::response::Parts;

use super::body::REQUIRED_FAILED;
use super::grpc::{self, is_grpc};
use super::kept;

/// Why a response is not what the handler has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// A task has failed that the response depends on.
    Required(StatusCode),
    /// The tasks were not done at the deadline.
    Deadline(StatusCode),
}

const LATE: &str = "background tasks were not done at the deadline";

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
        kept::keep(&mut parts.headers);
        // Whatever the status is, and whatever a CDN stores of such a status by default: it is of this moment alone.
        let no_store = HeaderValue::from_static("no-store");
        parts.headers.insert(header::CACHE_CONTROL, no_store);
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
