//! Writes into a held head: a failure, and `server-timing`.

use std::time::Duration;

use http::StatusCode;
use http::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};
use http::response::Parts;

use super::body::REQUIRED_FAILED;
use super::grpc::{self, is_grpc};
use super::kept;

/// The reason why a failure takes the place of the handler's response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// A required task has failed. The status is that of the new response.
    Required(StatusCode),
    /// The tasks were not done at the deadline. The status is that of the new response.
    Deadline(StatusCode),
}

const LATE: &str = "background tasks were not done at the deadline";

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

impl Failure {
    /// Turns the handler's head into that of a failure without a body.
    pub(super) fn write(self, parts: &mut Parts) {
        if is_grpc(&parts.headers) {
            // A call without messages has its status in the head.
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
        // A CDN may store some statuses by default. This answer is true of this moment only, whatever its status is.
        let no_store = HeaderValue::from_static("no-store");
        parts.headers.insert(header::CACHE_CONTROL, no_store);
        let (Failure::Required(status) | Failure::Deadline(status)) = self;
        parts.status = status;
    }
}

/// Appends the time for which the head was held. The field is a list, and its unit is milliseconds: Server Timing,
/// section 3.
pub(super) fn write_server_timing(headers: &mut HeaderMap, held: Duration) {
    let ours = format!("drain;dur={:.1}", held.as_secs_f64() * 1000.0);
    match headers.entry(SERVER_TIMING) {
        Entry::Occupied(mut entry) => {
            let list = [entry.get().as_bytes(), b", ", ours.as_bytes()].concat();
            // This cannot fail: joined header values are a header value.
            if let Ok(list) = HeaderValue::try_from(list) {
                // `OccupiedEntry::insert` would remove the other values of the field.
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
