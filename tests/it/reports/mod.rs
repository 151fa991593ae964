//! A `DrainReport` holds what became of each task: counts, the tasks that failed (`fallible`), the tasks that were
//! late, with name or place, age and message. `report_extension`, `server_timing`.
//!
//! | module | |
//! |---|---|
//! | `ages` | The age of a task: from when it is measured, and until when. |
//! | `computed_names` | A computed name is wherever a name is, and only at its own task. |
//! | `counts` | What is counted, and from when until when. |
//! | `extension` | `report_extension`: the report of a held head is in its extensions. |
//! | `fallible` | Fallible tasks: an `Err` counts as a failure. |
//! | `last_task` | `DrainReport::last`: the task that the release waited for. |
//! | `long_lists` | A request with very many tasks: lists have a bound. |
//! | `server_timing` | `server_timing`: a held head states how long it was held. |
//! | `text` | The text of a report, of a task and of a shutdown's report. |

mod ages;
mod computed_names;
mod counts;
mod extension;
mod fallible;
mod last_task;
mod long_lists;
mod server_timing;
mod text;
