//! Which work is tracked: a task that is spawned through `Tasks`, `spawn`, `spawn_blocking` or `named`, in the
//! handler, in its tasks, in tasks of those tasks, and in the response body. `Tasks` is an axum extractor; a
//! tokio-util `TaskTracker` is tracked too.
//!
//! | module | |
//! |---|---|
//! | `context` | Where `Tasks::current` finds the request. |
//! | `extractor` | `Tasks` in axum handlers. |
//! | `spawning` | Every way to start a task, on every kind of runtime. |
//! | `tracker_holds` | The `TaskTracker` of a request: its tasks are waited for. They are reported even if they end in the first turn of the scheduler. |

mod context;
mod extractor;
mod spawning;
mod tracker_holds;
