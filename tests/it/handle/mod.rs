//! Live requests and tasks: `live_requests`, `live_tasks` and `snapshot` of a `TrackerHandle`.
//!
//! | module | |
//! |---|---|
//! | `snapshots` | `snapshot`, `live_tasks` and `live_requests`. |

mod snapshots;
