//! Late spawns: a task that is spawned after the release of its request, by code that is no task of it, such as a
//! kept `Tasks` or a callback, runs and is reported as late. `try_spawn` refuses it.
//!
//! | module | |
//! |---|---|
//! | `spawns` | Tasks that are spawned after the release of their request, and tasks outside any request. |

mod spawns;
