//! `max_live_tasks` answers 503 if too many tasks are alive when a request arrives: a bound for what requests leave
//! behind.
//!
//! | module | |
//! |---|---|
//! | `max_live_tasks` | Which tasks count, and which requests are refused. |

mod max_live_tasks;
