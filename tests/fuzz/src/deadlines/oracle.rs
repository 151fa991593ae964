//! What the fields mean, derived from the specifications and not from the library.

use std::time::Duration;

use super::meaning::Meaning;
use super::prefer::{Preference, preferences};

/// gRPC over HTTP/2: `TimeoutValue` is a positive integer of at most eight digits, and then comes the unit.
pub(super) fn grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.len() > 8 {
        return None;
    }
    let amount = u128::from(number(digits)?);
    let nanos = amount
        * match unit {
            b'H' => 3_600_000_000_000,
            b'M' => 60_000_000_000,
            b'S' => 1_000_000_000,
            b'm' => 1_000_000,
            b'u' => 1_000,
            b'n' => 1,
            _ => return None,
        };
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let timeout = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(rest).ok()?);
    (!timeout.is_zero()).then_some(timeout)
}

/// RFC 7240, section 4.3: delta-seconds. Of several preferences of one name the first counts (section 2).
pub(super) fn prefer_wait(fields: &[&[u8]]) -> Meaning<u64> {
    let parsed: Option<Vec<_>> = fields.iter().map(|field| preferences(field)).collect();
    let Some(parsed) = parsed else {
        // Whatever is taken for the number of seconds has to stand there.
        let numbers = fields.iter().flat_map(|field| numbers(field));
        return Meaning::AtMost(numbers.collect());
    };
    let mut all = parsed.into_iter().flatten();
    let is_wait = |preference: &Preference| preference.name.eq_ignore_ascii_case(b"wait");
    let Some(wait) = all.find(is_wait) else {
        return Meaning::Nothing;
    };
    match number(&wait.value) {
        None | Some(0) => Meaning::Nothing,
        Some(seconds) if wait.is_escaped => Meaning::AtMost(vec![seconds]),
        Some(seconds) => Meaning::Exactly(seconds),
    }
}

/// A number of seconds, with spaces around it.
pub(super) fn environment(value: &str) -> Meaning<u64> {
    let digits = value.trim().as_bytes();
    match number(digits) {
        Some(0) => Meaning::Nothing,
        Some(seconds) => Meaning::Exactly(seconds),
        // Rust reads a plus too.
        None => Meaning::AtMost(numbers(digits)),
    }
}

/// Which number of a JSON object is the deadline. Which text is JSON is left to serde.
pub(super) fn lambda_context(value: &[u8]) -> Option<u64> {
    let context: serde_json::Map<_, _> = serde_json::from_slice(value).ok()?;
    let mut keys = ["deadline", "deadline_ms"].iter();
    keys.find_map(|key| context.get(*key)?.as_u64())
}

/// All of it digits, and no more than the type can hold.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

fn numbers(text: &[u8]) -> Vec<u64> {
    let runs = text.split(|byte| !byte.is_ascii_digit());
    runs.filter_map(number)
        .filter(|number| *number > 0)
        .collect()
}
