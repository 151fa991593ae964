//! Logs: the level, the fields and the span of each event, and how often it is logged.
//!
//! | module | |
//! |---|---|
//! | `dropped_handlers` | A handler that was dropped before it had answered: a warning, once a minute for each layer. |
//! | `events` | The events about a request: level, fields and span. |
//! | `hints` | The field `hint` of a warning names the likely cause of a missed deadline. |
//! | `late_tasks` | Events about tasks that no report counts: they are in the span of the task, with the request's id. |
//! | `required` | Required tasks that do not complete: one ERROR. |
//! | `throttle` | How often an event that a client can cause is logged. |
//! | `unlisted` | A request that passed a nested layer whose own handle does not list it: a warning, once for each layer. |

mod dropped_handlers;
mod events;
mod hints;
mod late_tasks;
mod required;
mod throttle;
mod unlisted;
