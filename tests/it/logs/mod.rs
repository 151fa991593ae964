//! The log: each event has its level, its fields and its span, and is logged once.
//!
//! | module | |
//! |---|---|
//! | `dropped_handlers` | Warnings and errors that an alert can be built on: each is logged once, and only with a reason. |
//! | `events` | The log: each event has its level and its fields, and is in the span of its request. |
//! | `late_tasks` | How tasks that no report counts are logged: in their own spans, with the request's id. |
//! | `throttle` | How often an event that a client can cause is logged. |

mod dropped_handlers;
pub(crate) mod events;
mod late_tasks;
mod throttle;
