//! `TrackerHandle`: all live requests and tasks of the process.
//!
//! | module | |
//! |---|---|
//! | `snapshots` | `snapshot`, `live_tasks` and `live_requests`. |

mod snapshots;
