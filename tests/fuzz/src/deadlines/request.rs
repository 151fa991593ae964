//! The request of a plan, and the sources that read it.

use std::time::{Duration, SystemTime};

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};
use tower_task_tracker::deadline::{self, Source};

use super::plan::{Field, Plan};

pub(super) const FIELDS: [Field; 5] = [
    // As the layer counts ties: the platform's come before the client's.
    Field::Lambda,
    Field::UnixMillis,
    Field::Environment,
    Field::GrpcTimeout,
    Field::Prefer,
];

const VARIABLE: &str = "FUZZED_TIMEOUT_SECONDS";

/// What `unix_millis` is to find in the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Millis(pub(super) u64);

impl Field {
    /// What reports call its source.
    pub(super) fn source_name(self) -> &'static str {
        match self {
            Field::GrpcTimeout => "grpc-timeout",
            Field::Prefer => "prefer-wait",
            Field::Lambda => "x-amzn-lambda-context",
            Field::UnixMillis => "unix-millis",
            Field::Environment => VARIABLE,
        }
    }

    pub(super) fn is_from_client(self) -> bool {
        matches!(self, Field::GrpcTimeout | Field::Prefer)
    }

    fn header(self, is_loud: bool) -> Option<HeaderName> {
        let name = match self {
            Field::GrpcTimeout => "grpc-timeout",
            Field::Prefer => "prefer",
            Field::Lambda => "x-amzn-lambda-context",
            Field::UnixMillis | Field::Environment => return None,
        };
        let loud = name.to_ascii_uppercase();
        let name = if is_loud { &loud } else { name };
        HeaderName::from_bytes(name.as_bytes()).ok()
    }
}

impl Plan {
    /// `unix_now`: what lines count from that speak of Unix time.
    pub(super) fn request(&self, unix_now: Duration) -> Parts {
        let (mut parts, ()) = Request::new(()).into_parts();
        for line in &self.lines {
            let value = with_instants(&line.value, unix_now);
            if let Some(name) = line.field.header(line.is_loud) {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    parts.headers.append(name, value);
                }
            }
        }
        if let Some(millis) = self.unix_millis(unix_now) {
            parts.extensions.insert(Millis(millis));
        }
        parts
    }

    pub(super) fn source(&self, field: Field) -> Source {
        let source = match field {
            Field::GrpcTimeout => deadline::grpc_timeout(),
            Field::Prefer => deadline::prefer_wait(),
            Field::Lambda => deadline::lambda_web_adapter(),
            Field::UnixMillis => deadline::unix_millis(|parts: &Parts| {
                parts.extensions.get().map(|Millis(millis)| *millis)
            }),
            Field::Environment => {
                set_variable(self.environment().as_deref());
                deadline::from_env(VARIABLE)
            }
        };
        let (margin, at_least) = self.tuning(field);
        source.margin(margin).at_least(at_least)
    }

    /// The margin of a source, and the least that it grants.
    pub(super) fn tuning(&self, field: Field) -> (Duration, Duration) {
        let (margin, at_least) = self.settings.tuning[field as usize];
        (margin.0, at_least.0)
    }

    pub(super) fn environment(&self) -> Option<String> {
        let value = self.first(Field::Environment)?;
        // No variable can hold a zero byte.
        Some(String::from_utf8_lossy(value).replace('\0', ""))
    }

    fn unix_millis(&self, unix_now: Duration) -> Option<u64> {
        let text = std::str::from_utf8(self.first(Field::UnixMillis)?).ok()?;
        let away: i64 = text.parse().ok()?;
        millis(unix_now).checked_add_signed(away)
    }

    fn first(&self, field: Field) -> Option<&[u8]> {
        let line = self.lines.iter().find(|line| line.field == field)?;
        Some(&line.value)
    }
}

/// The wall clock, since 1970.
pub(super) fn unix_now() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("it is past 1970")
}

/// Puts the Unix time in the place of `@` and a number: so many milliseconds from now.
fn with_instants(value: &[u8], unix_now: Duration) -> Vec<u8> {
    let mut parts = value.split(|byte| *byte == b'@');
    let mut text = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        let end = part.iter().position(|byte| !byte.is_ascii_digit());
        let (digits, rest) = part.split_at(end.unwrap_or(part.len()));
        let away = std::str::from_utf8(digits).ok();
        let away: u64 = away.and_then(|away| away.parse().ok()).unwrap_or(0);
        let at = millis(unix_now).saturating_add(away);
        text.extend_from_slice(at.to_string().as_bytes());
        text.extend_from_slice(rest);
    }
    text
}

fn millis(unix: Duration) -> u64 {
    u64::try_from(unix.as_millis()).expect("not for ages")
}

fn set_variable(value: Option<&str>) {
    // SAFETY: what reads the environment here goes through the standard library, which locks it.
    #[allow(unsafe_code)]
    unsafe {
        match value {
            Some(value) => std::env::set_var(VARIABLE, value),
            None => std::env::remove_var(VARIABLE),
        }
    }
}
