//! The deadline of a gRPC call.

use std::time::Duration;

use http::request::Parts;
use tokio::time::Instant;

use super::source::Source;
use crate::trace;

const HEADER: &str = "grpc-timeout";

/// Returns a source for the `grpc-timeout` header: how long the client of a gRPC method waits. The time is measured on
/// tokio's clock, and starts at the arrival of the request. Of several headers the first counts.
///
/// The value is a number of one to eight digits and a unit: `H`, `M`, `S`, `m`, `u` or `n`, from hours to nanoseconds
/// ([gRPC over HTTP/2, Requests][spec]). Any other value is ignored, and so is zero. The client chooses this deadline,
/// so tasks that are alive then run on.
///
/// Set a [`margin`](Source::margin). The client's clock started earlier, and the client does not read an answer that
/// comes after its timeout.
///
/// tonic's server has its own timer for this header, outside of every layer. It runs until the head is sent, so it
/// never ends a held end. If it fires first, the call is cancelled, which is a disconnect. It fires first without this
/// source, and also if [`at_least`](Source::at_least) makes the window longer than the timeout.
///
/// If a [`required`](crate::TaskBuilder::required) task is alive at this deadline, the status is 13 (`INTERNAL`), as
/// for any other failure of such a task.
///
/// [spec]: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests
pub fn grpc_timeout() -> Source {
    let read = |parts: &Parts| {
        let value = parts.headers.get(HEADER)?;
        let timeout = value.to_str().ok().and_then(parse);
        let at = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if at.is_none() {
            trace::deadline_ignored(HEADER, "it is no gRPC timeout");
        }
        at
    };
    Source::new(HEADER, read).from_client()
}

fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok().filter(|amount| *amount > 0)?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}
