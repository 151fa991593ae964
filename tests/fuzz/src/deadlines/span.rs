//! Durations of all sizes.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};

/// Zero without any bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub(super) Duration);

impl<'a> Arbitrary<'a> for Span {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(match u.int_in_range(0..=6)? {
            0 | 1 => Duration::ZERO,
            2 => Duration::from_millis(u.int_in_range(0..=255)?),
            3 => Duration::from_millis(u.int_in_range(0..=40_000)?),
            4 => Duration::from_nanos(u.int_in_range(0..=20_000_000)?),
            5 => Duration::from_secs(u.arbitrary()?),
            _ => Duration::MAX,
        }))
    }
}
