//! The end of the process: `begin_shutdown` caps the windows of responses, and `shutdown` waits for all tasks
//! within its budget. The example `graceful_shutdown` has the signal.
//!
//! | module | |
//! |---|---|
//! | `process` | A shutdown: tasks that belong to the process itself. |
//! | `responses` | A shutdown: how it affects new requests and held responses. |
//! | `stragglers` | A shutdown: tasks that no response waits for. |
//! | `waits_in_tasks` | Code of tracked requests that waits for its own process: for a shutdown, or until the handle is idle. |

mod process;
mod responses;
mod stragglers;
mod waits_in_tasks;
