//! Writes tasks on one line of a log.

use std::fmt;

/// With more tasks, the line would be hard to read.
const MAX_SHOWN: usize = 16;

pub(super) fn list<'a, T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    mut tasks: impl Iterator<Item = &'a T>,
) -> fmt::Result
where
    T: fmt::Display + 'a,
{
    for (index, task) in tasks.by_ref().take(MAX_SHOWN).enumerate() {
        write!(f, "{}{task}", if index == 0 { title } else { ", " })?;
    }
    match tasks.count() {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}
