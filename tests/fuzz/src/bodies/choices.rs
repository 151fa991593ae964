//! The values that a plan chooses from. Some lists repeat a value, so that it is chosen more often.

use arbitrary::{Result, Unstructured};
use http::{Method, StatusCode, Version};
use tower_task_tracker::{Hold, Unfinished};

use super::plan::{Client, DrainTimeout};
use crate::clock::ms;

/// Below the default drain timeout, or around it.
pub(super) fn long(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=250_u64)? {
        takes @ 0..240 => takes % 60,
        more => 24_995 + (more - 240),
    })
}

pub(super) fn short(u: &mut Unstructured<'_>) -> Result<u64> {
    u.int_in_range(0..=39)
}

pub(super) fn method(u: &mut Unstructured<'_>) -> Result<Method> {
    let methods = [Method::GET, Method::GET, Method::GET, Method::POST];
    let methods = [&methods[..], &[Method::HEAD, Method::CONNECT]].concat();
    u.choose(&methods).cloned()
}

pub(super) fn status(u: &mut Unstructured<'_>) -> Result<StatusCode> {
    let codes = [200, 200, 200, 201, 500, 204, 304, 101];
    let code = *u.choose(&codes)?;
    StatusCode::from_u16(code).map_err(|_| arbitrary::Error::IncorrectFormat)
}

pub(super) fn version(u: &mut Unstructured<'_>) -> Result<Version> {
    u.choose(&[Version::HTTP_11, Version::HTTP_2]).copied()
}

pub(super) fn hold(u: &mut Unstructured<'_>) -> Result<Hold> {
    const MODES: [Hold; 8] = {
        use Hold::{Auto, End, Head, Never, Required};
        [Auto, Auto, Auto, Head, Head, End, Required, Never]
    };
    u.choose(&MODES).copied()
}

pub(super) fn drain_timeout(u: &mut Unstructured<'_>) -> Result<DrainTimeout> {
    Ok(match u.int_in_range(0..=3)? {
        0 => DrainTimeout::Default,
        1 => DrainTimeout::Set(None),
        _ => DrainTimeout::Set(Some(u.int_in_range(0..=59)?)),
    })
}

pub(super) fn unfinished(u: &mut Unstructured<'_>) -> Result<Unfinished> {
    Ok(match u.int_in_range(0..=3)? {
        0 | 1 => Unfinished::Continue,
        2 => Unfinished::Abort,
        _ => Unfinished::Cancel {
            grace: ms(short(u)?),
        },
    })
}

pub(super) fn client(u: &mut Unstructured<'_>) -> Result<Client> {
    Ok(match u.int_in_range(0..=9)? {
        0..=2 => Client::ReadsOn,
        3..=5 => Client::IsServer,
        6 => Client::IsSlow(u.int_in_range(1..=20)?),
        7 => Client::LeavesAt(u.int_in_range(0..=80)?),
        8 => Client::LeavesAfter(u.int_in_range(0..=4)?),
        _ => Client::LeavesAfterPolls(u.int_in_range(0..=12)?),
    })
}
