//! The computed names of tasks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::report::TaskInfo;

/// The names of tasks that were computed, by the ids of the tasks.
///
/// A name that is known at compile time stands in the table. Most names are, and each task would pay for room for a
/// computed one there.
#[derive(Debug, Default)]
pub(crate) struct Names {
    alive: BTreeMap<u32, Arc<str>>,
    /// That of the task whose end left none alive: a report may contain it.
    last: Option<(u32, Arc<str>)>,
}

impl Names {
    pub(crate) fn add(&mut self, id: u32, name: Arc<str>) {
        self.alive.insert(id, name);
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Arc<str>> {
        let last = || {
            let last = self.last.as_ref().filter(|(last, _)| *last == id);
            last.map(|(_, name)| name)
        };
        self.alive.get(&id).or_else(last)
    }

    /// Returns the name of a task that has ended. `is_last`: it left none alive.
    pub(crate) fn end(&mut self, id: u32, is_last: bool) -> Option<Arc<str>> {
        let name = self.alive.remove(&id)?;
        if is_last {
            self.last = Some((id, name.clone()));
        }
        Some(name)
    }
}

/// Puts a computed name into a report.
pub(crate) fn put_name(info: &mut TaskInfo, name: Option<&Arc<str>>) {
    if let Some(name) = name {
        info.name = Some(Cow::Owned(name.to_string()));
    }
}
