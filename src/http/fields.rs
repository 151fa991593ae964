//! The header fields of a message.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Returns the first value of a field, by a walk over all fields. A message usually has few fields, and then this costs
/// less than a hash.
#[inline]
pub(super) fn first_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut fields = headers.iter();
    fields.find_map(|(other, value)| (other == name).then_some(value))
}
