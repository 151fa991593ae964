//! The deadline of a `Prefer: wait` header.

use std::time::Duration;

use http::HeaderMap;
use http::request::Parts;
use tokio::time::Instant;

use super::source::Source;
use crate::trace;

const HEADER: &str = "prefer";

/// Returns a source for `Prefer: wait=N`: how many seconds the client prefers to wait ([RFC 7240, section 4.3][wait]).
/// The time is measured on tokio's clock, and starts at the arrival of the request.
///
/// At this deadline the client gets the status that [`deadline_status`](crate::TaskTrackerLayer::deadline_status) sets,
/// or by default the handler's response.
///
/// Only whole seconds are read. Of several values the first counts. Zero is ignored, and so is a value that is not a
/// number. The client chooses this deadline, so tasks that are alive then run on.
///
/// [wait]: https://www.rfc-editor.org/rfc/rfc7240#section-4.3
pub fn prefer_wait() -> Source {
    let read = |parts: &Parts| {
        let wait = first_wait(&parts.headers)?;
        let seconds = wait.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let at = seconds.and_then(|seconds| Instant::now().checked_add(seconds));
        if at.is_none() {
            trace::deadline_ignored(HEADER, "its wait is not a number of seconds");
        }
        at
    };
    Source::new("prefer-wait", read).from_client()
}

/// Returns the first `wait` of all header fields. The inner value is `None` if it is not a number of seconds.
fn first_wait(headers: &HeaderMap) -> Option<Option<u64>> {
    headers
        .get_all(HEADER)
        .iter()
        // Bytes, because a quoted string may contain bytes that are not ASCII.
        .flat_map(|field| split_unquoted(field.as_bytes(), b','))
        .find_map(|preference| {
            // Parameters of the preference follow after a semicolon.
            let preference = split_unquoted(preference, b';').next()?;
            let (name, value) = match preference.iter().position(|byte| *byte == b'=') {
                Some(equals) => (&preference[..equals], &preference[equals + 1..]),
                None => (preference, [].as_slice()),
            };
            let is_wait = name.trim_ascii().eq_ignore_ascii_case(b"wait");
            is_wait.then(|| seconds(value.trim_ascii()))
        })
}

/// Parses the value. As the value of any preference it may be quoted.
fn seconds(value: &[u8]) -> Option<u64> {
    let value = std::str::from_utf8(value).ok()?;
    let unquoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let digits = unquoted.unwrap_or(value);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// Splits at a separator outside of quoted strings (RFC 9110, section 5.6.4).
fn split_unquoted(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => return *byte == separator && !quoted,
        }
        false
    })
}
