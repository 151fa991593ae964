//! Detached tasks: no response waits for them. What a detached task or a straggler spawns is detached, too.
//!
//! | module | |
//! |---|---|
//! | `children` | What a detached task spawns. |
//! | `children_of_stragglers` | What a straggler spawns: a task that its response was released without. |
//! | `tasks` | No response waits for a detached task, and nothing but a shutdown stops it. |

mod children;
mod children_of_stragglers;
mod tasks;

use std::borrow::Cow;

use crate::support::Log;

/// The names of the tasks whose ends were observed alone, sorted.
pub(crate) fn ends(log: &Log) -> Vec<Cow<'static, str>> {
    let ends = log.late_ends().into_iter();
    let mut names: Vec<_> = ends.map(|task| task.name.unwrap_or("?".into())).collect();
    names.sort_unstable();
    names
}
