//! The events that an instance receives.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::Response;
use serde_json::{Value, json};

/// The deadline that a local emulator is known to send: ten minutes after the start of 1970.
pub(crate) const IN_1970: u64 = 600_000;

/// An invocation.
#[derive(Debug)]
pub(crate) struct Event {
    id: String,
    body: Value,
    /// The deadline in Unix milliseconds.
    deadline: u64,
}

impl Event {
    /// Returns a request as function URLs and HTTP APIs send it (payload 2.0), with half a minute until its deadline.
    pub(crate) fn http(id: u32, method: &str, path_and_query: &str) -> Self {
        let (path, query) = path_and_query
            .split_once('?')
            .unwrap_or((path_and_query, ""));
        let body = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": { "host": "shop.test" },
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "shop",
                "domainName": "shop.test",
                "domainPrefix": "shop",
                "http": {
                    "method": method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "test",
                },
                "requestId": id.to_string(),
                "routeKey": "$default",
                "stage": "$default",
                "time": "21/Nov/2026:17:00:00 +0000",
                "timeEpoch": 1_795_280_400_000_u64,
            },
            "isBase64Encoded": false,
        });
        Self::new(id, body)
    }

    /// Returns an order that takes this long.
    pub(crate) fn order(id: u32, takes: Duration) -> Self {
        Self::order_with(id, takes, "")
    }

    /// Returns an order with more in its query, such as `&fails=true`.
    pub(crate) fn order_with(id: u32, takes: Duration, more: &str) -> Self {
        let takes = millis(takes);
        Self::http(id, "POST", &format!("/orders?id={id}&takes={takes}{more}"))
    }

    /// Returns any event, such as a batch of messages.
    pub(crate) fn new(id: u32, body: Value) -> Self {
        Self {
            id: request_id(id),
            body,
            deadline: millis_from_now(Duration::from_secs(30)),
        }
    }

    /// Returns a batch of messages as SQS sends it, reduced to the fields that are read.
    pub(crate) fn batch(id: u32, orders: &[Value]) -> Self {
        let records: Vec<_> = orders
            .iter()
            .map(|order| json!({ "messageId": id.to_string(), "body": order.to_string() }))
            .collect();
        Self::new(id, json!({ "Records": records }))
    }

    pub(crate) fn with_deadline(mut self, unix_millis: u64) -> Self {
        self.deadline = unix_millis;
        self
    }

    pub(crate) fn into_response(self) -> Response {
        Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", self.id)
            .header("lambda-runtime-deadline-ms", self.deadline)
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-central-1:123456789012:function:shop",
            )
            .header(
                "lambda-runtime-trace-id",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1",
            )
            .body(Body::from(self.body.to_string()))
            .expect("these are headers")
    }
}

/// Returns the id of an invocation in Lambda's format.
pub(crate) fn request_id(id: u32) -> String {
    format!("156cb537-e2d4-11e8-9b34-{id:012}")
}

/// Returns an instant in Lambda's format.
pub(crate) fn millis_from_now(left: Duration) -> u64 {
    let at = SystemTime::now() + left;
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    millis(since.expect("it is after 1970"))
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("it is not that long")
}
