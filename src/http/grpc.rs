//! The status of a gRPC response that has failed.

use http::HeaderName;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::fields::first_of;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// The status codes in use here. The numbers are from <https://grpc.io/docs/guides/status-codes/>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    DeadlineExceeded = 4,
    Internal = 13,
}

/// Returns whether the content type is that of gRPC. gRPC-Web does not count, because it has its trailers inside of the
/// body.
#[inline]
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    !headers.is_empty() && has_type_of_grpc(headers)
}

fn has_type_of_grpc(headers: &HeaderMap) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let content_type = first_of(headers, &CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = content_type.and_then(|value| {
        let (start, rest) = value.split_at_checked(GRPC.len())?;
        start.eq_ignore_ascii_case(GRPC).then_some(rest)
    });
    matches!(rest, Some([] | [b'+' | b';' | b' ', ..]))
}

/// Writes a status into trailers, or into a head without a body. A status that is an error already is more exact, and
/// stays.
pub(super) fn write_status(headers: &mut HeaderMap, code: Code, message: &'static str) {
    let is_error = |status: &HeaderValue| status.as_bytes() != b"0";
    if !headers.get(STATUS).is_some_and(is_error) {
        headers.insert(STATUS, HeaderValue::from(code as u16));
        headers.insert(MESSAGE, HeaderValue::from_static(message));
        headers.remove(DETAILS);
    }
}
