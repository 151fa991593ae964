//! A `DrainReport` holds what became of each task: counts, ages, names, failures, stragglers. The report extension
//! and `server-timing`.
//!
//! | module | |
//! |---|---|
//! | `computed_names` | Names that are computed: they are wherever a name is, and only at their own task. |
//! | `counts` | What is counted, and from when until when. |
//! | `fallible` | Tasks whose `Err` is a failure. |
//! | `server_timing` | How a held head states how long it was held. |
//! | `text` | The contents of a report. |

mod computed_names;
mod counts;
mod fallible;
mod server_timing;
mod text;
