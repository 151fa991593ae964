//! The computed names of tasks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::report::TaskInfo;

/// The computed names of the tasks of a request, by the ids of the tasks.
///
/// A name that is known at compile time is in the table. Most names are. Room for a computed name would make each entry
/// of the table larger.
#[derive(Debug, Default)]
pub(crate) struct Names {
    alive: BTreeMap<u32, Arc<str>>,
    /// The name of the task whose end left none alive. A report may contain it.
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

    /// Removes and returns the name of a task that has ended. `is_last`: the end left no task alive.
    pub(crate) fn end(&mut self, id: u32, is_last: bool) -> Option<Arc<str>> {
        let name = self.alive.remove(&id)?;
        if is_last {
            self.last = Some((id, name.clone()));
        }
        Some(name)
    }
}

/// Sets the name in a report to the computed one, if there is one.
pub(crate) fn put_name(info: &mut TaskInfo, name: Option<&Arc<str>>) {
    if let Some(name) = name {
        info.name = Some(Cow::Owned(name.to_string()));
    }
}
