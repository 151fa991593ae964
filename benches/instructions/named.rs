//! Finds contenders by their names.

use std::thread;

use tokio::runtime::Builder;

use crate::BoxError;
use crate::clock::clock;
use crate::contender::Contender;
use crate::contenders::{add_extension, bare, join_set, ours, ours_free, ours_idle, task_tracker};
use crate::reported::{join_set_reported, ours_reported};
use crate::waiting::{join_set_waiting, join_set_woken, ours_waiting, ours_woken};

type Named = (&'static str, fn() -> Contender);

const ALL: [Named; 30] = [
    ("bare", bare),
    ("clock", clock),
    ("add-extension", add_extension),
    ("ours-0", ours_idle),
    ("ours-1", || ours(1)),
    ("ours-4", || ours(4)),
    ("ours-16", || ours(16)),
    ("by-hand-1", || join_set(1)),
    ("by-hand-4", || join_set(4)),
    ("by-hand-16", || join_set(16)),
    ("ours-waiting-1", || ours_waiting(1)),
    ("ours-waiting-4", || ours_waiting(4)),
    ("ours-waiting-16", || ours_waiting(16)),
    ("by-hand-waiting-1", || join_set_waiting(1)),
    ("by-hand-waiting-4", || join_set_waiting(4)),
    ("by-hand-waiting-16", || join_set_waiting(16)),
    ("ours-woken-1", || ours_woken(1)),
    ("ours-woken-4", || ours_woken(4)),
    ("ours-woken-16", || ours_woken(16)),
    ("by-hand-woken-1", || join_set_woken(1)),
    ("by-hand-woken-4", || join_set_woken(4)),
    ("by-hand-woken-16", || join_set_woken(16)),
    ("ours-reported-1", ours_reported),
    ("by-hand-reported-1", join_set_reported),
    // In no row: for `--profile` alone.
    ("ours-free-1", || ours_free(1)),
    ("ours-free-4", || ours_free(4)),
    ("ours-free-16", || ours_free(16)),
    ("task-tracker-1", || task_tracker(1)),
    ("task-tracker-4", || task_tracker(4)),
    ("task-tracker-16", || task_tracker(16)),
];

pub(crate) fn names() -> [&'static str; ALL.len()] {
    ALL.map(|(name, _)| name)
}

/// Returns the name if a contender has it.
///
/// # Errors
///
/// If no contender has this name.
pub(crate) fn find(wanted: &str) -> Result<&'static str, BoxError> {
    let names = names();
    let found = names.iter().find(|name| **name == wanted);
    let found = found.ok_or_else(|| format!("no contender is {wanted}: {}", names.join(", ")))?;
    Ok(found)
}

/// Serves requests on a thread of its own. The thread's stack and lists of free blocks are new, so that they do not
/// depend on what the program did before.
pub(crate) fn serve(wanted: &str, requests: u64) -> Result<(), BoxError> {
    let found = ALL.iter().find(|(name, _)| *name == wanted);
    let (_, make) = found.ok_or("an unknown contender")?;
    let serving = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(make().run(requests));
        Ok(())
    });
    serving.join().expect("no contender panics")
}
