//! `wait_idle` waits until no request is listed at the handle.
//!
//! | module | |
//! |---|---|
//! | `callbacks` | The handle is idle only after the callbacks of a request have run. |
//! | `tasks` | A task that calls `wait_idle` does not wait for itself. |
//! | `trackers` | The handle becomes idle after the last task of a tokio-util `TaskTracker`. |

mod callbacks;
mod tasks;
mod trackers;
