//! The deadline of a gRPC call.

use std::time::Duration;

use http::request::Parts;
use tokio::time::Instant;

use super::source::Source;
use crate::trace;

const HEADER: &str = "grpc-timeout";

/// The `grpc-timeout` header: how long the caller of a gRPC method waits, counted on tokio's clock from
/// the arrival of the request. Of several the first counts.
///
/// It is a number of one to eight digits and a unit: `H`, `M`, `S`, `m`, `u` or `n`, from hours to
/// nanoseconds ([gRPC over HTTP/2, Requests][spec]). Anything else, and zero, is ignored. It is the
/// client's: tasks that are alive at it are detached.
///
/// Give it a [`margin`](Source::margin): the client's clock started earlier, and answers of ours that
/// come after its end are not read. tonic's server has a timer of its own for this header, which stands
/// outside of every layer and runs until the head is sent: where it fires first, as it does without this
/// source, or where [`at_least`](Source::at_least) goes beyond it, the call is cancelled, and that is a
/// disconnect. It never ends a held end.
///
/// With a [`required`](crate::TaskBuilder::required) task that is late for it, the status is 13
/// (`INTERNAL`), as for any other failure of such a task.
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
