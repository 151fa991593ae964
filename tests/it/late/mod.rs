//! Late spawns: code that is no task of its request, such as a kept `Tasks` or a callback, spawns a task after the
//! release. The task runs, and is reported as late. `try_spawn` refuses it.
//!
//! | module | |
//! |---|---|
//! | `kept_tasks` | Which code counts as a task of the request, so that its spawns are not late: not a kept `Tasks`, a callback or the body. |
//! | `spawns` | Tasks that are spawned after the release of their request. |
//! | `try_spawn` | `try_spawn` refuses what would be late, and gives the future back. |

mod kept_tasks;
mod spawns;
mod try_spawn;
