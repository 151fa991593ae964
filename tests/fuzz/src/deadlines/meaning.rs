//! What the fields of a request mean.

use std::time::Duration;

use http::request::Parts;
use tokio::time::Instant;

use super::oracle;
use super::plan::{Field, Plan};
use super::request::Millis;

/// How a value is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning<T> {
    Nothing,
    Exactly(T),
    /// No grammar allows it: it is nothing, or one of these.
    AtMost(Vec<T>),
}

/// What happened, as far as the clocks are concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    pub(super) arrived: Instant,
    /// The wall clock, before and after.
    pub(super) unix: (Duration, Duration),
}

/// The wall clock has just passed a deadline: whether it was past when it was read is not known.
#[derive(Debug)]
pub(super) struct Unknowable;

/// How far away the deadline is, at least and at most, counted from the arrival.
pub(super) fn meaning(
    plan: &Plan,
    parts: &Parts,
    clocks: Clocks,
    field: Field,
) -> Result<Meaning<(Duration, Duration)>, Unknowable> {
    let values = |name| {
        parts
            .headers
            .get_all(name)
            .iter()
            .map(http::HeaderValue::as_bytes)
    };
    let exactly = |away| (away, away);
    let seconds = |seconds| exactly(Duration::from_secs(seconds));
    Ok(match field {
        Field::GrpcTimeout => {
            // Of several the first counts, whatever it is.
            let timeout = values("grpc-timeout").next().and_then(oracle::grpc_timeout);
            timeout.map_or(Meaning::Nothing, |away| Meaning::Exactly(exactly(away)))
        }
        Field::Prefer => {
            let fields: Vec<_> = values("prefer").collect();
            oracle::prefer_wait(&fields).map(seconds)
        }
        Field::Environment => match plan.environment() {
            Some(value) => oracle::environment(&value).map(seconds),
            None => Meaning::Nothing,
        },
        Field::Lambda => {
            let value = values("x-amzn-lambda-context").next();
            away(value.and_then(oracle::lambda_context), clocks)?
        }
        Field::UnixMillis => {
            let millis = parts.extensions.get().map(|Millis(millis)| *millis);
            away(millis, clocks)?
        }
    })
}

fn away(millis: Option<u64>, clocks: Clocks) -> Result<Meaning<(Duration, Duration)>, Unknowable> {
    let Some(at) = millis.map(Duration::from_millis) else {
        return Ok(Meaning::Nothing);
    };
    let (before, after) = clocks.unix;
    if at < before {
        return Ok(Meaning::Nothing);
    }
    match at.checked_sub(after) {
        Some(earliest) => Ok(Meaning::Exactly((earliest, at - before))),
        None => Err(Unknowable),
    }
}

impl<T> Meaning<T> {
    fn map<U>(self, f: impl Fn(T) -> U) -> Meaning<U> {
        match self {
            Meaning::Nothing => Meaning::Nothing,
            Meaning::Exactly(value) => Meaning::Exactly(f(value)),
            Meaning::AtMost(values) => Meaning::AtMost(values.into_iter().map(f).collect()),
        }
    }
}
