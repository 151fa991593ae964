//! Detached tasks: no response waits for them. What a detached task or a straggler spawns is detached itself.
//!
//! | module | |
//! |---|---|
//! | `tasks` | Detached tasks: no response waits for them. |

mod tasks;
