//! Choices, read from bytes.

use std::slice::Iter;

/// Reads one byte a choice. A smaller byte makes an earlier choice, and missing bytes are zeros. So a short input is a
/// simple request, and smaller bytes make a simpler one.
pub(crate) struct Choices<'a>(Iter<'a, u8>);

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    pub(crate) fn up_to(&mut self, most: u8) -> u64 {
        let byte = self.0.next().copied().unwrap_or(0);
        u64::from(byte) * (u64::from(most) + 1) / 256
    }

    /// A list may repeat a value, so that it is chosen more often.
    pub(crate) fn one_of<T: Clone>(&mut self, values: &[T]) -> T {
        let last = u8::try_from(values.len() - 1).expect("a short list");
        values[self.up_to(last) as usize].clone()
    }

    /// In one of eight cases.
    pub(crate) fn rarely<T>(&mut self, choose: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.up_to(7) == 7).then(|| choose(self))
    }

    pub(crate) fn list<T>(&mut self, count: u64, choose: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..count).map(|_| choose(self)).collect()
    }
}
