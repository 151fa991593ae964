//! Turns bytes into parts of a plan.

use arbitrary::{Arbitrary, Result, Unstructured};

/// Up to three.
pub(crate) fn few<'a, T: Arbitrary<'a>>(u: &mut Unstructured<'a>) -> Result<Vec<T>> {
    let count = u.int_in_range(0..=3)?;
    (0..count).map(|_| u.arbitrary()).collect()
}

/// In one of eight cases.
pub(crate) fn rarely<'a, T: Arbitrary<'a>>(u: &mut Unstructured<'a>) -> Result<Option<T>> {
    let is_there = u.int_in_range(0..=7)? == 7;
    is_there.then(|| u.arbitrary()).transpose()
}
