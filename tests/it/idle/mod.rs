//! `TrackerHandle::wait_idle` returns when no task is alive and every request has left.
//!
//! | module | |
//! |---|---|
//! | `callbacks` | When the handle becomes idle: after everything of a request, and not before. |

mod callbacks;
