//! Fields of a head.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The first value of a field, by a walk over all of them: for the few that a message has as a rule, that is
/// less than a hash.
#[inline]
pub(super) fn first_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut fields = headers.iter();
    fields.find_map(|(other, value)| (other == name).then_some(value))
}
