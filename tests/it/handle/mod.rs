//! `TrackerHandle`: all live requests and tasks of the process.
//!
//! | module | |
//! |---|---|
//! | `snapshots` | What `TrackerHandle` shows of a process, and how `max_live_tasks` protects it from overload. |

mod snapshots;
