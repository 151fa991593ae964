//! The deadline of a Lambda invocation, from the AWS Lambda Web Adapter.

use http::request::Parts;
use serde_json::Value;

use super::source::Source;
use super::unix_millis::from_unix_millis;
use crate::trace;

const HEADER: &str = "x-amzn-lambda-context";

/// Returns a source for the deadline of the invocation, which the [AWS Lambda Web Adapter][adapter] passes to a web app
/// in the `x-amzn-lambda-context` header: a JSON object with `deadline` (or `deadline_ms`) in milliseconds of Unix
/// time. It is converted to tokio's clock when the request arrives.
///
/// A header that cannot be read is ignored, and so is a deadline in the past. Set a [`margin`](Source::margin), because
/// Lambda stops the process at the deadline.
///
/// The adapter overwrites the header. If clients reach an app without the adapter, the app must not use this source.
///
/// [adapter]: https://github.com/awslabs/aws-lambda-web-adapter
pub fn lambda_web_adapter() -> Source {
    Source::new(HEADER, |parts: &Parts| {
        let value = parts.headers.get(HEADER)?;
        let at = unix_millis_of(value.as_bytes()).and_then(from_unix_millis);
        if at.is_none() {
            trace::deadline_ignored(HEADER, "it has no deadline, or a past one");
        }
        at
    })
}

fn unix_millis_of(json: &[u8]) -> Option<u64> {
    let context: Value = serde_json::from_slice(json).ok()?;
    let millis = |key| context.get(key).and_then(Value::as_u64);
    millis("deadline").or_else(|| millis("deadline_ms"))
}
