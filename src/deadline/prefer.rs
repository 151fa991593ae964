//! The wait that a client prefers.

use std::time::Duration;

use http::HeaderMap;
use http::request::Parts;
use tokio::time::Instant;

use super::source::Source;
use crate::trace;

const HEADER: &str = "prefer";

/// `Prefer: wait=N`: how many seconds the client wishes to wait, counted from the arrival of the
/// request ([RFC 7240, section 4.3][wait]).
///
/// What the client gets then is what [`deadline_status`](crate::TaskTrackerLayer::deadline_status)
/// says, and by default the handler's answer.
///
/// Only whole seconds are read, and of several the first. Zero, and what is no number, is ignored. It
/// is the client's: tasks that are alive at it are detached.
///
/// [wait]: https://www.rfc-editor.org/rfc/rfc7240#section-4.3
pub fn prefer_wait() -> Source {
    let read = |parts: &Parts| {
        let wait = first_wait(&parts.headers)?;
        let seconds = wait.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let at = seconds.and_then(|seconds| Instant::now().checked_add(seconds));
        if at.is_none() {
            trace::deadline_ignored(HEADER, "its wait is no number of seconds");
        }
        at
    };
    Source::new("prefer-wait", read).from_client()
}

/// The first `wait` of all fields, if there is one, and its seconds, if it says so.
fn first_wait(headers: &HeaderMap) -> Option<Option<u64>> {
    headers
        .get_all(HEADER)
        .iter()
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| split_unquoted(field, ','))
        .find_map(|preference| {
            // What follows a semicolon is a parameter of the preference.
            let preference = split_unquoted(preference, ';').next()?;
            let (name, value) = match preference.split_once('=') {
                Some((name, value)) => (name, value.trim_matches([' ', '\t'])),
                None => (preference, ""),
            };
            let is_wait = name.trim_matches([' ', '\t']).eq_ignore_ascii_case("wait");
            is_wait.then(|| seconds(value))
        })
}

/// The value may be quoted, like any other of a preference.
fn seconds(value: &str) -> Option<u64> {
    let unquoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let digits = unquoted.unwrap_or(value);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// Splits at a separator, but not inside of a quoted string (RFC 9110, section 5.6.4).
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == separator && !quoted,
        }
        false
    })
}
