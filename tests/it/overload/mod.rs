//! A bound for what requests leave behind: `max_live_tasks` sheds a request with a 503.
//!
//! | module | |
//! |---|---|
//! | `max_live_tasks` | Which tasks count, and which requests are shed. |

mod max_live_tasks;
