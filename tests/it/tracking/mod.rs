//! Which work is tracked: what is spawned through `Tasks`, `spawn`, `spawn_blocking` or `named`, in the handler, in
//! its tasks, in tasks of those tasks, and in the response body. `Tasks` as an axum extractor, a tokio-util
//! `TaskTracker`, a `JoinSet`, a spawn outside of any request, `untracked`.
//!
//! | module | |
//! |---|---|
//! | `context` | Where `Tasks::current` finds the request. |
//! | `destructors` | What the destructor of a handler, a task or a closure spawns is tracked. |
//! | `extractor` | `Tasks` as an argument of an axum handler, with the layer and without it. |
//! | `runtimes` | Tasks whose runtime is gone, or ends before they do. |
//! | `spawning` | Every way to spawn a task. |
//! | `tracker_holds` | The response waits for the tasks in the `TaskTracker` of its request. |
//! | `tracker_reports` | Tasks in the `TaskTracker` of a request are reported, even if they end in the first turn of the scheduler. |
//! | `tracker_runtimes` | A wait for a `TaskTracker` goes on where the runtime of the wait has ended. |
//! | `untracked` | A spawn outside of any request runs untracked and logs a warning, except inside of `untracked`. |

mod context;
mod destructors;
mod extractor;
mod runtimes;
mod spawning;
mod tracker_holds;
mod tracker_reports;
mod tracker_runtimes;
mod untracked;
